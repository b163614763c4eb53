use crate::error::{check_count, check_open_unit, check_positive};
use crate::{Interval, StatsError, normal};

/// How a judge did on items that people labelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JudgeCalibration {
    /// Items that people call bad.
    pub n_negative: u64,
    /// Those of them that the judge calls bad too.
    pub true_negative: u64,
    /// Items that people call good.
    pub n_positive: u64,
    /// Those of them that the judge calls good too.
    pub true_positive: u64,
}

/// A quantity freed of the judge's error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Corrected {
    /// Point estimate.
    pub estimate: f64,
    /// Standard error, that of the calibration included.
    pub se: f64,
    /// Two-sided interval.
    pub ci: Interval,
}

impl JudgeCalibration {
    /// Returns specificity `q₀`, sensitivity `q₁` and `J = q₀ + q₁ − 1`, which must be above 0.
    fn rates(&self) -> Result<(f64, f64, f64), StatsError> {
        for (n, right) in [
            (self.n_negative, self.true_negative),
            (self.n_positive, self.true_positive),
        ] {
            check_count("a judge's calibration per label", 1, usize::from(n > 0))?;
            if right > n {
                return Err(StatsError::OutOfRange {
                    parameter: "items judged as people do",
                    value: right as f64,
                    expected: "at most the number of items with that label",
                });
            }
        }
        let specificity = self.true_negative as f64 / self.n_negative as f64;
        let sensitivity = self.true_positive as f64 / self.n_positive as f64;
        let informedness = specificity + sensitivity - 1.0;
        if informedness <= 0.0 {
            let reason = "the judge agrees with people no more than chance does";
            return Err(StatsError::Undefined {
                what: "a rate corrected for the judge",
                reason,
            });
        }
        Ok((specificity, sensitivity, informedness))
    }
}

/// Estimates the true share of good items from the share a judge calls good.
///
/// `θ = (p + q₀ − 1)/(q₀ + q₁ − 1)` (Rogan & Gladen 1978), cut to 0 to 1. Interval and its standard error by Lang & Reiczigel
/// 2014: with z pseudo-counts added to p and one of each kind to `q₀` and `q₁`, shifted by
/// `2z²(θ·v₁ − (1 − θ)·v₀)` where v = q(1−q)/m. Assumes independent items and the same judge error in test and
/// calibration set; with clustered conversations give the effective number of trials. Errors with
/// `TooFew` for 0 trials or a label without items, `OutOfRange`, `Undefined` unless q₀ + q₁ > 1.
pub fn correct_rate(
    judged_good: u64,
    trials: u64,
    calibration: &JudgeCalibration,
    level: f64,
) -> Result<Corrected, StatsError> {
    check_open_unit("confidence level", level)?;
    check_count("a corrected rate", 1, usize::from(trials > 0))?;
    if judged_good > trials {
        let (parameter, value) = ("items judged good", judged_good as f64);
        return Err(StatsError::OutOfRange {
            parameter,
            value,
            expected: "at most the trials",
        });
    }
    let (specificity, _, informedness) = calibration.rates()?;
    let (good, n) = (judged_good as f64, trials as f64);
    let estimate = ((good / n + specificity - 1.0) / informedness).clamp(0.0, 1.0);

    let z = normal::upper_quantile((1.0 - level) / 2.0);
    let rate = (good + z * z / 2.0) / (n + z * z);
    let smoothed = |right: u64, of: u64| {
        let of = of as f64 + 2.0;
        let share = (right as f64 + 1.0) / of;
        (share, share * (1.0 - share) / of)
    };
    let (q0, v0) = smoothed(calibration.true_negative, calibration.n_negative);
    let (q1, v1) = smoothed(calibration.true_positive, calibration.n_positive);
    let informedness = q0 + q1 - 1.0;
    if informedness <= 0.0 {
        let reason = "the calibration is too small to tell the judge from chance";
        return Err(StatsError::Undefined {
            what: "the interval of a corrected rate",
            reason,
        });
    }
    let theta = (rate + q0 - 1.0) / informedness;
    let variance =
        rate * (1.0 - rate) / (n + z * z) + (1.0 - theta).powi(2) * v0 + theta * theta * v1;
    let se = variance.sqrt() / informedness;
    let centre = theta + 2.0 * z * z * (theta * v1 - (1.0 - theta) * v0);
    Ok(Corrected {
        estimate,
        se,
        ci: Interval {
            lower: (centre - z * se).clamp(0.0, 1.0),
            upper: (centre + z * se).clamp(0.0, 1.0),
            level,
        },
    })
}

/// Estimates the true difference between two arms from the one a judge sees.
///
/// `difference`: of the shares judged good, candidate − baseline; `se`: its standard error, from the
/// paired test. Both arms share the judge's error, which only attenuates: `Δ = Δ_judged/(q₀ + q₁ − 1)`, with
/// variance `(se² + Δ²(v₀ + v₁))/(q₀ + q₁ − 1)²` by the delta method, v = q(1−q)/m. If the judge favours one arm's style,
/// calibrate each arm and subtract two [`correct_rate`]s instead. Errors with `OutOfRange`,
/// `TooFew` and `Undefined` as there.
pub fn correct_difference(
    difference: f64,
    se: f64,
    calibration: &JudgeCalibration,
    level: f64,
) -> Result<Corrected, StatsError> {
    check_open_unit("confidence level", level)?;
    check_positive("standard error", se)?;
    if !(-1.0..=1.0).contains(&difference) {
        let (parameter, value) = ("difference of two shares", difference);
        return Err(StatsError::OutOfRange {
            parameter,
            value,
            expected: "-1 to 1",
        });
    }
    let (specificity, sensitivity, informedness) = calibration.rates()?;
    let estimate = difference / informedness;
    let calibration_variance = specificity * (1.0 - specificity) / calibration.n_negative as f64
        + sensitivity * (1.0 - sensitivity) / calibration.n_positive as f64;
    let se = (se * se + estimate * estimate * calibration_variance).sqrt() / informedness;
    let z = normal::upper_quantile((1.0 - level) / 2.0);
    let ci = Interval {
        lower: estimate - z * se,
        upper: estimate + z * se,
        level,
    };
    Ok(Corrected { estimate, se, ci })
}

#[cfg(test)]
mod tests {
    use super::{JudgeCalibration, correct_difference, correct_rate};
    use crate::{Random, StatsError};

    const CALIBRATION: JudgeCalibration = JudgeCalibration {
        n_negative: 100,
        true_negative: 80,
        n_positive: 100,
        true_positive: 90,
    };

    #[test]
    fn known_error_is_undone() {
        // A true share of 0.5 looks like 0.5·0.9 + 0.5·0.2 = 0.55 to this judge.
        let rate = correct_rate(55, 100, &CALIBRATION, 0.95).unwrap();
        assert!((rate.estimate - 0.5).abs() < 1e-15 && rate.ci.contains(0.5));
        let difference = correct_difference(0.07, 0.02, &CALIBRATION, 0.95).unwrap();
        assert!((difference.estimate - 0.1).abs() < 1e-15);
        assert!(difference.se > 0.02 / 0.7);
    }

    #[test]
    fn the_interval_covers_at_its_level() {
        let mut random = Random::new(9);
        let mut count = |n: u64, share: f64| (0..n).filter(|_| random.uniform() < share).count();
        let covered = (0..4000)
            .filter(|_| {
                let calibration = JudgeCalibration {
                    n_negative: 50,
                    true_negative: count(50, 0.85) as u64,
                    n_positive: 50,
                    true_positive: count(50, 0.9) as u64,
                };
                let judged_good = count(200, 0.3 * 0.9 + 0.7 * 0.15) as u64;
                let rate = correct_rate(judged_good, 200, &calibration, 0.95).unwrap();
                rate.ci.contains(0.3)
            })
            .count();
        assert!((3760..=3880).contains(&covered), "{covered} of 4000");
    }

    #[test]
    fn a_judge_no_better_than_chance_is_an_error() {
        let chance = JudgeCalibration {
            true_negative: 10,
            true_positive: 90,
            ..CALIBRATION
        };
        let error = correct_rate(5, 10, &chance, 0.95);
        assert!(matches!(error, Err(StatsError::Undefined { .. })));
        let none = JudgeCalibration {
            n_positive: 0,
            true_positive: 0,
            ..CALIBRATION
        };
        assert!(matches!(
            correct_rate(5, 10, &none, 0.95),
            Err(StatsError::TooFew { .. })
        ));
        assert!(matches!(
            correct_rate(11, 10, &CALIBRATION, 0.95),
            Err(StatsError::OutOfRange { .. })
        ));
        assert!(correct_difference(f64::NAN, 0.1, &CALIBRATION, 0.95).is_err());
    }
}
