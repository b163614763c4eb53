use statrs::function::beta::beta_reg;

use crate::error::{check_count, check_open_unit};
use crate::root::find_root;
use crate::{Interval, StatsError};

/// Returns the upper bound of an event's rate after `n` trials without one.
///
/// `1 − alpha^(1/n)`, exact and one-sided at level 1 − alpha; for alpha 0.05 close to 3/n (Hanley &
/// Lippman-Hand 1983). Assumes independent trials; for clustered ones the truth lies between
/// the bounds for conversations and for personas. Errors with `TooFew` for 0 trials, `OutOfRange`.
pub fn zero_events_upper_bound(n: u64, alpha: f64) -> Result<f64, StatsError> {
    check_open_unit("alpha", alpha)?;
    check_count("an upper bound of a rate", 1, usize::from(n > 0))?;
    Ok(-(alpha.ln() / n as f64).exp_m1())
}

/// Returns Clopper and Pearson's two-sided interval of a rate.
///
/// Ends are the p at which P(X ≥ events) or P(X ≤ events) is (1 − level)/2 (Clopper & Pearson 1934):
/// never below its level, often above it. Assumes independent trials. Errors with `TooFew` for 0
/// trials, `OutOfRange` for more events than trials or a level outside 0 to 1.
pub fn clopper_pearson(events: u64, trials: u64, level: f64) -> Result<Interval, StatsError> {
    check_open_unit("confidence level", level)?;
    check_count("an interval of a rate", 1, usize::from(trials > 0))?;
    if events > trials {
        let value = events as f64;
        return Err(StatsError::OutOfRange {
            parameter: "events",
            value,
            expected: "at most the number of trials",
        });
    }
    let tail = (1.0 - level) / 2.0;
    let (k, n) = (events as f64, trials as f64);
    let end =
        |excess: &dyn Fn(f64) -> f64, at_edge: f64| find_root(0.0, 1.0, excess).unwrap_or(at_edge);
    let lower = match events {
        0 => 0.0,
        _ => end(&|p| beta_reg(k, n - k + 1.0, p) - tail, 0.0),
    };
    let upper = if events == trials {
        1.0
    } else {
        end(&|p| beta_reg(n - k, k + 1.0, 1.0 - p) - tail, 1.0)
    };
    Ok(Interval {
        lower,
        upper,
        level,
    })
}

#[cfg(test)]
mod tests {
    use super::{clopper_pearson, zero_events_upper_bound};

    #[test]
    fn no_event_in_a_few_trials_excludes_little() {
        for (n, percent) in [(15, 18.1), (45, 6.4), (150, 2.0), (300, 1.0)] {
            let bound = 100.0 * zero_events_upper_bound(n, 0.05).unwrap();
            assert!((bound - percent).abs() < 0.05, "{n}: {bound}");
        }
        assert!(zero_events_upper_bound(0, 0.05).is_err());
    }

    #[test]
    fn no_event_at_all_meets_the_closed_form() {
        let interval = clopper_pearson(0, 45, 0.9).unwrap();
        let bound = zero_events_upper_bound(45, 0.05).unwrap();
        assert_eq!(interval.lower, 0.0);
        assert!((interval.upper - bound).abs() < 1e-14);
        assert_eq!(clopper_pearson(45, 45, 0.9).unwrap().upper, 1.0);
        assert!(clopper_pearson(3, 2, 0.9).is_err() && clopper_pearson(0, 0, 0.9).is_err());
    }
}
