use crate::StatsError;
use crate::error::{check_count, check_lengths};

/// Largest magnitude whose square can still be summed without overflow.
const MAX_MAGNITUDE: f64 = 1e100;

/// Values closer together than this share of the largest magnitude count as equal.
///
/// Scores are means of a few decimals; what separates two differences that are equal on paper is
/// then below 1e-15, and what separates two that are not is above 1e-9.
pub(crate) const RELATIVE_TIE: f64 = 1e-12;

/// Differences below this share of the two scores are what rounding left of zero.
const RELATIVE_ZERO: f64 = 16.0 * f64::EPSILON;

/// An interval at a level of confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// Level of confidence, more than 0 and less than 1.
    pub level: f64,
}

impl Interval {
    /// Tells whether a value lies in the interval, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.lower <= value && value <= self.upper
    }

    /// Returns both ends, the lower first.
    pub fn ends(&self) -> [f64; 2] {
        [self.lower, self.upper]
    }
}

/// Returns candidate − baseline for every pair.
///
/// A difference below 16 units of rounding of its two scores becomes exactly 0, so that pairs that
/// are equal on paper are ties here too. Errors with `LengthMismatch`, `NonFinite`, `TooLarge`.
pub fn paired_differences(baseline: &[f64], candidate: &[f64]) -> Result<Vec<f64>, StatsError> {
    check_lengths(
        ("baseline scores", baseline.len()),
        ("candidate scores", candidate.len()),
    )?;
    check_values(baseline)?;
    check_values(candidate)?;
    let difference = |(a, b): (&f64, &f64)| {
        let difference = b - a;
        if difference.abs() <= RELATIVE_ZERO * a.abs().max(b.abs()) {
            0.0
        } else {
            difference
        }
    };
    Ok(baseline.iter().zip(candidate).map(difference).collect())
}

/// Returns the arithmetic mean.
///
/// Errors with `TooFew` on an empty slice, `NonFinite`, `TooLarge`.
pub fn mean(values: &[f64]) -> Result<f64, StatsError> {
    check_count("a mean", 1, values.len())?;
    check_values(values)?;
    Ok(mean_of(values))
}

/// Returns the sample standard deviation, with n − 1 in the denominator.
///
/// Errors with `TooFew` below two values, `NonFinite`, `TooLarge`; equal values give 0.
pub fn standard_deviation(values: &[f64]) -> Result<f64, StatsError> {
    check_count("a standard deviation", 2, values.len())?;
    check_values(values)?;
    Ok(variance_of(values).sqrt())
}

/// Checks that every value can be computed with.
pub(crate) fn check_values(values: &[f64]) -> Result<(), StatsError> {
    for (index, &value) in values.iter().enumerate() {
        if !value.is_finite() {
            return Err(StatsError::NonFinite { index, value });
        }
        if value.abs() > MAX_MAGNITUDE {
            return Err(StatsError::TooLarge { index, value });
        }
    }
    Ok(())
}

/// Checks that the values differ by more than rounding does.
pub(crate) fn check_variation(values: &[f64]) -> Result<(), StatsError> {
    let (low, high) = range(values);
    let scale = low.abs().max(high.abs());
    // The second half catches values so small that their squares vanish.
    if high - low <= RELATIVE_TIE * scale || variance_of(values) == 0.0 {
        let value = mean_of(values);
        return Err(StatsError::NoVariation {
            n: values.len(),
            value,
        });
    }
    Ok(())
}

fn range(values: &[f64]) -> (f64, f64) {
    values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| {
            (low.min(value), high.max(value))
        })
}

/// Mean of checked values. Summed in sorted order, so that the order of rows changes no bit.
pub(crate) fn mean_of(values: &[f64]) -> f64 {
    sum_of(values.iter().copied()) / values.len() as f64
}

/// Variance of at least two checked values, in two passes.
pub(crate) fn variance_of(values: &[f64]) -> f64 {
    let mean = mean_of(values);
    sum_of(values.iter().map(|value| (value - mean).powi(2))) / (values.len() - 1) as f64
}

/// Sum that depends on the values alone and not on their order.
pub(crate) fn sum_of(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(|a, b| a.abs().total_cmp(&b.abs()).then(a.total_cmp(b)));
    sorted.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::{mean, paired_differences, standard_deviation};
    use crate::StatsError;

    #[test]
    fn rounding_leaves_no_difference() {
        assert_eq!(paired_differences(&[0.1 + 0.2], &[0.3]).unwrap(), [0.0]);
        assert_eq!(paired_differences(&[0.25], &[0.75]).unwrap(), [0.5]);
    }

    #[test]
    fn arms_of_unequal_length_are_refused() {
        let error = paired_differences(&[0.1, 0.2], &[0.1]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected as many values as the 2 of baseline scores, got 1 of candidate scores"
        );
    }

    #[test]
    fn values_without_an_answer_are_errors() {
        assert!(matches!(
            mean(&[]),
            Err(StatsError::TooFew {
                needed: 1,
                got: 0,
                ..
            })
        ));
        assert!(matches!(
            mean(&[0.0, f64::NAN]),
            Err(StatsError::NonFinite { index: 1, .. })
        ));
        assert!(matches!(
            mean(&[f64::INFINITY]),
            Err(StatsError::NonFinite { index: 0, .. })
        ));
        assert!(matches!(
            mean(&[1e101]),
            Err(StatsError::TooLarge { index: 0, .. })
        ));
        assert!(matches!(
            standard_deviation(&[1.0]),
            Err(StatsError::TooFew { .. })
        ));
    }
}
