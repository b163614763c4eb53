use crate::StatsError;
use crate::error::{check_count, check_open_unit, check_positive};
use crate::noncentral_t;
use crate::root::find_root;
use crate::student_t::upper_quantile;

/// More pairs than any evaluation will have.
const MAX_PAIRS: usize = 10_000_000;

/// Whether a test looks at one direction or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sides {
    /// Only an effect above 0 counts.
    One,
    /// Effects of either sign count.
    Two,
}

/// What a planned paired t-test shall achieve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerTarget {
    /// Level of the test, e.g. 0.05.
    pub alpha: f64,
    /// Chance of rejecting when the effect is there, e.g. 0.8.
    pub power: f64,
    /// One-sided or two-sided.
    pub sides: Sides,
}

impl PowerTarget {
    fn check(&self) -> Result<(), StatsError> {
        check_open_unit("alpha", self.alpha)?;
        check_open_unit("power", self.power)?;
        if self.power > self.alpha {
            return Ok(());
        }
        Err(StatsError::OutOfRange {
            parameter: "power",
            value: self.power,
            expected: "more than alpha, which a test reaches without any effect",
        })
    }
}

/// Returns the power of the paired t-test.
///
/// `dz`: true mean difference in standard deviations of the differences. With `δ = dz·√n` and the
/// critical c of n − 1 degrees of freedom: P(T > c) of the non-central t, for two sides plus
/// P(T < −c). Assumes normal differences. Errors with `TooFew` below two pairs, `OutOfRange` for
/// alpha and for a `dz` that is not finite.
pub fn paired_t_power(dz: f64, n: usize, alpha: f64, sides: Sides) -> Result<f64, StatsError> {
    check_open_unit("alpha", alpha)?;
    check_count("a paired t-test", 2, n)?;
    if !dz.is_finite() {
        let expected = "a finite number";
        return Err(StatsError::OutOfRange {
            parameter: "dz",
            value: dz,
            expected,
        });
    }
    Ok(power_of(dz, n, alpha, sides))
}

fn power_of(dz: f64, n: usize, alpha: f64, sides: Sides) -> f64 {
    let df = (n - 1) as f64;
    // Beyond 500 the power is 1 to the last bit; the limit keeps the integration short.
    let noncentrality = (dz * (n as f64).sqrt()).clamp(-500.0, 500.0);
    match sides {
        Sides::One => noncentral_t::upper_tail(upper_quantile(alpha, df), df, noncentrality),
        Sides::Two => {
            let critical = upper_quantile(alpha / 2.0, df);
            noncentral_t::upper_tail(critical, df, noncentrality)
                + noncentral_t::cdf(-critical, df, noncentrality)
        }
    }
}

/// Returns the smallest true mean difference that the paired t-test finds with the target's power.
///
/// `sd`: standard deviation of the differences, whose unit the result has. Solves the exact power
/// of [`paired_t_power`]; the sum `(t_{1−α/2} + t_{power})·sd/√n` found in textbooks is within 1 % of
/// it from n = 10 on. Errors as there, and `OutOfRange` unless `sd` > 0 and power > alpha.
pub fn minimal_detectable_effect(
    sd: f64,
    n: usize,
    target: &PowerTarget,
) -> Result<f64, StatsError> {
    target.check()?;
    check_positive("standard deviation", sd)?;
    check_count("a paired t-test", 2, n)?;
    Ok(sd * detectable_dz(n, target)?)
}

pub(crate) fn detectable_dz(n: usize, target: &PowerTarget) -> Result<f64, StatsError> {
    let shortfall = |dz| power_of(dz, n, target.alpha, target.sides) - target.power;
    let mut high = 4.0 / (n as f64).sqrt();
    while shortfall(high) < 0.0 {
        high *= 2.0;
        if high * (n as f64).sqrt() > 500.0 {
            let reason = "so few pairs reach this power for no effect of practical size";
            return Err(StatsError::Undefined {
                what: "the minimal detectable effect",
                reason,
            });
        }
    }
    let what = "the minimal detectable effect";
    let reason = "the power does not cross its target";
    find_root(0.0, high, shortfall).ok_or(StatsError::Undefined { what, reason })
}

/// Returns the fewest pairs with which the paired t-test reaches the target's power.
///
/// `dz`: as in [`paired_t_power`], above 0. Errors with `OutOfRange`, and `Undefined` above ten
/// million pairs.
pub fn required_pairs(dz: f64, target: &PowerTarget) -> Result<usize, StatsError> {
    target.check()?;
    check_positive("dz", dz)?;
    let enough = |n| power_of(dz, n, target.alpha, target.sides) >= target.power;
    let mut high = 2;
    while !enough(high) {
        high *= 2;
        if high > MAX_PAIRS {
            let reason = "the effect is so small that ten million pairs do not show it";
            return Err(StatsError::Undefined {
                what: "the number of pairs",
                reason,
            });
        }
    }
    let mut low = (high / 2).max(2);
    while low < high {
        let middle = low.midpoint(high);
        if enough(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(high)
}

#[cfg(test)]
mod tests {
    use super::{PowerTarget, Sides, minimal_detectable_effect, paired_t_power, required_pairs};
    use crate::StatsError;

    const TARGET: PowerTarget = PowerTarget {
        alpha: 0.05,
        power: 0.8,
        sides: Sides::Two,
    };

    #[test]
    fn detectable_effects_are_the_published_ones() {
        let textbook = [(10, 0.993), (15, 0.778), (20, 0.66), (30, 0.528)];
        for (n, expected) in textbook {
            let effect = minimal_detectable_effect(1.0, n, &TARGET).unwrap();
            assert!((effect / expected - 1.0).abs() < 0.01, "{n}: {effect}");
        }
        let one_sided = PowerTarget {
            sides: Sides::One,
            ..TARGET
        };
        let effect = minimal_detectable_effect(1.0, 15, &one_sided).unwrap();
        assert!((effect / 0.675 - 1.0).abs() < 0.01, "{effect}");
    }

    #[test]
    fn required_pairs_are_the_fewest() {
        for dz in [0.2, 0.5, 0.778, 1.5, 20.0] {
            let n = required_pairs(dz, &TARGET).unwrap();
            assert!(paired_t_power(dz, n, 0.05, Sides::Two).unwrap() >= 0.8);
            assert!(n == 2 || paired_t_power(dz, n - 1, 0.05, Sides::Two).unwrap() < 0.8);
        }
    }

    #[test]
    fn targets_without_an_answer_are_errors() {
        let low = PowerTarget {
            power: 0.05,
            ..TARGET
        };
        assert!(matches!(
            required_pairs(0.5, &low),
            Err(StatsError::OutOfRange { .. })
        ));
        assert!(matches!(
            required_pairs(0.0, &TARGET),
            Err(StatsError::OutOfRange { .. })
        ));
        assert!(matches!(
            required_pairs(1e-9, &TARGET),
            Err(StatsError::Undefined { .. })
        ));
        let few = minimal_detectable_effect(1.0, 1, &TARGET);
        assert!(matches!(few, Err(StatsError::TooFew { .. })));
        assert!(minimal_detectable_effect(f64::NAN, 9, &TARGET).is_err());
    }
}
