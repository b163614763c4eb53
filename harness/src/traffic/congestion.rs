/// How many calls one server is sent at once: additive increase, multiplicative decrease.
///
/// It begins at the most there may be. When more than a tenth of a round of calls came back as too
/// much, the limit is halved; a round without adds a sixteenth of the most. Replies to calls that
/// were sent before a decrease say nothing of the new limit and are not counted.
#[derive(Debug)]
pub(super) struct Congestion {
    most: usize,
    limit: usize,
    settled: usize,
    overloaded: usize,
    decreases: u64,
}

/// What a call's end says of the server's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// It was answered, well or not.
    Bearable,
    /// It took too long: maybe queued behind too many others, maybe lost.
    Slow,
    /// The server said that it was too much (429, 503).
    TooMuch,
}

impl Congestion {
    /// Begins with `most` calls at once.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            limit: most,
            settled: 0,
            overloaded: 0,
            decreases: 0,
        }
    }

    /// Returns how many calls may be under way.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Returns the number of decreases so far: what a call remembers from when it is sent.
    pub(super) fn decreases(&self) -> u64 {
        self.decreases
    }

    /// Counts the end of a call that was sent after `decreases` decreases.
    pub(super) fn settle(&mut self, decreases: u64, load: Load) {
        if decreases != self.decreases {
            return;
        }
        self.settled += 1;
        let floor = match load {
            Load::Bearable => self.limit,
            // A server may stall without being overloaded: some calls go on beside.
            Load::Slow => self.most.div_ceil(4).min(self.limit),
            Load::TooMuch => 1,
        };
        self.overloaded += usize::from(load != Load::Bearable);
        if self.overloaded * 10 > self.limit {
            let halved = (self.limit / 2).max(floor).max(1);
            self.decreases += 1;
            self.begin_round(halved);
        } else if self.settled >= self.limit {
            let step = self.most.div_ceil(16);
            let raised = if self.overloaded == 0 { step } else { 0 };
            self.begin_round((self.limit + raised).min(self.most));
        }
    }

    fn begin_round(&mut self, limit: usize) {
        self.limit = limit;
        self.settled = 0;
        self.overloaded = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::{Congestion, Load};

    #[test]
    fn too_much_halves_once_for_all_calls_of_a_round() {
        let mut congestion = Congestion::new(64);
        let sent = congestion.decreases();
        for _ in 0..64 {
            congestion.settle(sent, Load::TooMuch);
        }
        assert_eq!(
            congestion.limit(),
            32,
            "the other answers were on their way"
        );
        for _ in 0..10 {
            for _ in 0..congestion.limit() {
                congestion.settle(congestion.decreases(), Load::TooMuch);
            }
        }
        assert_eq!(congestion.limit(), 1);
        let mut rounds = 0;
        while congestion.limit() < 64 {
            for _ in 0..congestion.limit() {
                congestion.settle(congestion.decreases(), Load::Bearable);
            }
            rounds += 1;
        }
        assert_eq!(rounds, 16);
    }

    #[test]
    fn single_faults_among_many_calls_are_no_congestion() {
        let mut congestion = Congestion::new(64);
        for call in 0..6400 {
            let load = if call % 25 == 0 {
                Load::TooMuch
            } else {
                Load::Bearable
            };
            congestion.settle(congestion.decreases(), load);
        }
        assert_eq!(congestion.limit(), 64);
    }

    #[test]
    fn a_server_that_finds_its_own_limit_is_met_near_it() {
        // Everything beyond 10 at once is refused.
        let mut congestion = Congestion::new(64);
        let mut sum = 0;
        for round in 0..200 {
            let (limit, sent) = (congestion.limit(), congestion.decreases());
            for place in 0..limit {
                let load = if place < 10 {
                    Load::Bearable
                } else {
                    Load::TooMuch
                };
                congestion.settle(sent, load);
            }
            if round >= 100 {
                sum += limit;
            }
        }
        let mean = f64::from(u32::try_from(sum).unwrap()) / 100.0;
        assert!((5.0..=14.0).contains(&mean), "{mean}");
    }

    #[test]
    fn stalls_leave_a_quarter_and_one_place_stays_one() {
        let mut congestion = Congestion::new(16);
        for _ in 0..100 {
            congestion.settle(congestion.decreases(), Load::Slow);
        }
        assert_eq!(congestion.limit(), 4);
        congestion.settle(congestion.decreases(), Load::TooMuch);
        assert_eq!(congestion.limit(), 2);
        congestion.settle(congestion.decreases(), Load::Slow);
        assert_eq!(congestion.limit(), 2, "a stall never raises it");
        let mut single = Congestion::new(1);
        single.settle(0, Load::TooMuch);
        assert_eq!(single.limit(), 1);
    }
}
