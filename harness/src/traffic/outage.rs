use std::time::{Duration, Instant};

/// Between two tries at a server that is away: the first, and the most.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Failures in a row that mean the server and not the calls, at least: more than one call is tried.
const LEAST_FAILURES: usize = 24;

/// Whether a server is there, told from how calls to it end.
///
/// It is away when nobody listens, or when so many calls in a row failed that it cannot be the calls.
/// Then one call at a time tries it, after a pause that grows, until one is answered.
#[derive(Debug)]
pub(super) struct Outage {
    /// Failures in a row after which it counts as away.
    most_failures: usize,
    failures: usize,
    /// When the first of these failures was.
    since: Option<Instant>,
    away: Option<Away>,
}

#[derive(Debug)]
struct Away {
    pause: Duration,
    next_try: Instant,
}

impl Outage {
    /// Begins with a server that is there and takes `most` calls at once.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most_failures: (2 * most).max(LEAST_FAILURES),
            failures: 0,
            since: None,
            away: None,
        }
    }

    /// Tells whether the server is away.
    pub(super) fn is_away(&self) -> bool {
        self.away.is_some()
    }

    /// Returns how long the next call must still wait.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        let away = self.away.as_ref();
        away.map_or(Duration::ZERO, |away| {
            away.next_try.saturating_duration_since(now)
        })
    }

    /// Counts a call that was answered; returns whether the server was away until now.
    pub(super) fn answered(&mut self) -> bool {
        self.failures = 0;
        self.since = None;
        self.away.take().is_some()
    }

    /// Counts a call that was not answered; returns for how long none was.
    ///
    /// `is_refused`: nobody listens. `share` in [0, 1) varies the pause.
    pub(super) fn failed(&mut self, now: Instant, is_refused: bool, share: f64) -> Duration {
        self.failures += 1;
        let since = *self.since.get_or_insert(now);
        let pause = match &self.away {
            Some(away) => Some((away.pause * 2).min(LONGEST_PAUSE)),
            None if is_refused || self.failures >= self.most_failures => Some(FIRST_PAUSE),
            None => None,
        };
        if let Some(pause) = pause {
            self.away = Some(Away {
                pause,
                next_try: now + pause.mul_f64(0.5 + share / 2.0),
            });
        }
        now.saturating_duration_since(since)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{LEAST_FAILURES, LONGEST_PAUSE, Outage};

    #[test]
    fn a_server_that_refuses_is_tried_after_growing_pauses_until_it_answers() {
        let mut now = Instant::now();
        let start = now;
        let mut outage = Outage::new(64);
        assert_eq!(outage.failed(now, true, 0.0), Duration::ZERO);
        let mut tries = 0;
        while now - start < Duration::from_secs(60) {
            assert!(outage.is_away());
            let pause = outage.pause(now);
            assert!(pause <= LONGEST_PAUSE);
            now += pause;
            outage.failed(now, true, 0.99);
            tries += 1;
        }
        assert!((12..=30).contains(&tries), "{tries}");
        assert!(outage.answered());
        assert_eq!(outage.pause(now), Duration::ZERO);
        assert!(!outage.answered(), "it was there already");
    }

    #[test]
    fn failures_in_a_row_mean_the_server_and_single_ones_the_calls() {
        let now = Instant::now();
        let mut outage = Outage::new(2);
        for _ in 0..100 {
            for _ in 1..LEAST_FAILURES {
                outage.failed(now, false, 0.5);
            }
            assert!(!outage.is_away());
            outage.answered();
        }
        for second in 0..LEAST_FAILURES as u64 {
            let silent = outage.failed(now + Duration::from_secs(second), false, 0.5);
            assert_eq!(silent, Duration::from_secs(second));
        }
        assert!(outage.is_away());
    }
}
