use crate::error::{check_count, check_open_unit};
use crate::{Interval, StatsError, normal};

/// The difference of two proportions of the same items, with a score interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedProportions {
    /// Items.
    pub n: u64,
    /// Items right in the candidate alone.
    pub only_candidate: u64,
    /// Items right in the baseline alone.
    pub only_baseline: u64,
    /// Candidate's proportion − baseline's.
    pub difference: f64,
    /// Two-sided interval of the difference; each end is a one-sided bound at (1 + level)/2.
    pub ci: Interval,
}

/// Estimates how far a candidate's proportion is from the baseline's, over the same `n` items.
///
/// Tango's score interval (Tango 1998, Statistics in Medicine 17:891): the differences δ for which
/// `|b − c − nδ|/√(n(2q + δ(1 − δ)))` is at most z, with b and c the items right in one arm alone and q
/// the most likely probability of c under δ, `(√(B² − 4AC) − B)/(2A)`, `A = 2n`,
/// `B = −b − c + (2n − b + c)δ`, `C = −cδ(1 − δ)`. Unlike a t interval of the differences it does not
/// vanish where no item differs: there its ends are ±z²/(n + z²), so that few items show little.
/// Assumes independent items. Errors with `TooFew` without an item, `LengthMismatch` if more items
/// differ than there are, `OutOfRange` for the level.
pub fn paired_proportions(
    only_candidate: u64,
    only_baseline: u64,
    n: u64,
    level: f64,
) -> Result<PairedProportions, StatsError> {
    check_open_unit("confidence level", level)?;
    check_count(
        "a difference of proportions",
        1,
        usize::try_from(n).unwrap_or(usize::MAX),
    )?;
    let discordant = only_candidate.saturating_add(only_baseline);
    if discordant > n {
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        crate::error::check_lengths(
            ("items", count(n)),
            ("items that differ", count(discordant)),
        )?;
    }
    let z = normal::upper_quantile((1.0 - level) / 2.0);
    let difference = (only_candidate as f64 - only_baseline as f64) / n as f64;
    let score = |delta| score(only_candidate as f64, only_baseline as f64, n as f64, delta);
    // The statistic falls from one end of [−1, 1] to the other, through 0 at the difference.
    let upper = bisect(difference, 1.0, |delta| score(delta) > -z);
    let lower = -bisect(-difference, 1.0, |delta| score(-delta) < z);
    Ok(PairedProportions {
        n,
        only_candidate,
        only_baseline,
        difference,
        ci: Interval {
            lower,
            upper,
            level,
        },
    })
}

/// Returns how many standard errors the difference seen is above `delta`, with the variance that
/// `delta` implies.
fn score(b: f64, c: f64, n: f64, delta: f64) -> f64 {
    let (qa, qb, qc) = (
        2.0 * n,
        -b - c + (2.0 * n - b + c) * delta,
        -c * delta * (1.0 - delta),
    );
    let root = (qb * qb - 4.0 * qa * qc).max(0.0).sqrt();
    // Of two equal forms the one that subtracts nothing.
    let q = if qb <= 0.0 || qc == 0.0 {
        (root - qb) / (2.0 * qa)
    } else {
        -2.0 * qc / (root + qb)
    };
    let variance = n * (2.0 * q + delta * (1.0 - delta));
    let excess = b - c - n * delta;
    if excess == 0.0 {
        0.0
    } else {
        excess / variance.max(0.0).sqrt()
    }
}

/// Returns the end of the values from `inside` on towards `outside` for which `holds`.
fn bisect(inside: f64, outside: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let (mut inside, mut outside) = (inside, outside);
    for _ in 0..200 {
        let middle = f64::midpoint(inside, outside);
        if middle <= inside.min(outside) || middle >= inside.max(outside) {
            break;
        }
        if holds(middle) {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    f64::midpoint(inside, outside)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::Random;

    const Z: f64 = 1.959_963_984_540_054;

    #[test]
    fn without_a_difference_the_bounds_are_known() {
        for n in [5, 20, 100, 1000] {
            let found = paired_proportions(0, 0, n, 0.95).unwrap();
            let expected = Z * Z / (n as f64 + Z * Z);
            assert!((found.ci.upper - expected).abs() < 1e-9, "{found:?}");
            assert!((found.ci.lower + expected).abs() < 1e-9, "{found:?}");
        }
    }

    /// The likelihood's maximum under a difference, by trying.
    fn tried(b: f64, c: f64, n: f64, delta: f64) -> f64 {
        let log_likelihood = |q: f64| {
            let (p12, p21) = (q + delta, q);
            let term = |count: f64, p: f64| {
                if count == 0.0 {
                    0.0
                } else {
                    count * p.max(0.0).ln()
                }
            };
            term(b, p12) + term(c, p21) + term(n - b - c, 1.0 - p12 - p21)
        };
        let low = (-delta).max(0.0);
        let high = (1.0 - delta) / 2.0;
        let at = |step: u32| low + (high - low) * f64::from(step) / 100_000.0;
        let best = (0..=100_000)
            .map(at)
            .max_by(|one, other| log_likelihood(*one).total_cmp(&log_likelihood(*other)));
        best.unwrap()
    }

    #[test_case(12, 2, 50; "more")]
    #[test_case(2, 12, 50; "less")]
    #[test_case(0, 4, 30; "only less")]
    #[test_case(9, 1, 10; "all but nothing differs")]
    fn ends_are_where_the_score_is_critical(b: u64, c: u64, n: u64) {
        let found = paired_proportions(b, c, n, 0.95).unwrap();
        for (end, sign) in [(found.ci.lower, 1.0), (found.ci.upper, -1.0)] {
            let (b, c, n) = (b as f64, c as f64, n as f64);
            let q = tried(b, c, n, end);
            let variance = n * (2.0 * q + end * (1.0 - end));
            let score = (b - c - n * end) / variance.sqrt();
            assert!((score - sign * Z).abs() < 2e-3, "{found:?}: {score}");
        }
        assert!(found.ci.contains(found.difference));
        let mirrored = paired_proportions(c, b, n, 0.95).unwrap();
        assert!((mirrored.ci.lower + found.ci.upper).abs() < 1e-9);
    }

    /// A candidate exactly at the margin is found to be above it at most about as often as alpha says.
    #[test]
    fn the_one_sided_error_is_kept() {
        let mut random = Random::new(7);
        let (n, runs) = (200, 4000);
        let mut passed = 0;
        for _ in 0..runs {
            let (mut b, mut c) = (0, 0);
            for _ in 0..n {
                match random.below(1000) {
                    0..50 => b += 1,
                    50..150 => c += 1,
                    _ => {}
                }
            }
            let found = paired_proportions(b, c, n, 0.90).unwrap();
            passed += u32::from(found.ci.lower > -0.05);
        }
        let share = f64::from(passed) / f64::from(runs);
        assert!((0.035..0.065).contains(&share), "{share}");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(paired_proportions(0, 0, 0, 0.95).is_err());
        assert!(paired_proportions(3, 3, 5, 0.95).is_err());
        assert!(paired_proportions(3, 1, 5, 1.0).is_err());
        let all = paired_proportions(5, 0, 5, 0.95).unwrap();
        assert_eq!(all.difference, 1.0);
        assert!(all.ci.lower < 1.0 && all.ci.upper <= 1.0, "{all:?}");
    }
}
