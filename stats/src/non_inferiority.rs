use crate::error::check_open_unit;
use crate::student_t::{upper_quantile, upper_tail};
use crate::{StatsError, paired_t};

/// Whether a candidate is worse than the baseline by less than a margin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NonInferiority {
    /// Mean difference, candidate − baseline.
    pub mean: f64,
    /// The margin, above 0.
    pub margin: f64,
    /// `(d̄ + margin)/(s_d/√n)`.
    pub t: f64,
    /// Degrees of freedom, n − 1.
    pub df: f64,
    /// P(T ≥ t): evidence that the mean difference is above −margin.
    pub p: f64,
    /// Lower one-sided bound of the mean difference at level 1 − alpha.
    pub lower_bound: f64,
    /// Whether p is below alpha; the same as the bound lying above −margin.
    pub shown: bool,
}

/// Tests whether the mean difference is above −`margin`, one-sided at `alpha`.
///
/// `t = (d̄ + margin)/(s_d/√n)` with n − 1 degrees of freedom. The margin is in the unit of the
/// differences and must be fixed before the data. Assumptions and errors are those of
/// [`paired_t`](crate::paired_t); also `OutOfRange` unless margin ≥ 0 and finite. Differences that
/// are all equal give `NoVariation`: the caller compares that value with −margin itself.
pub fn non_inferiority(
    differences: &[f64],
    margin: f64,
    alpha: f64,
) -> Result<NonInferiority, StatsError> {
    check_open_unit("alpha", alpha)?;
    if !(margin >= 0.0 && margin.is_finite()) {
        let expected = "a finite number of at least 0";
        return Err(StatsError::OutOfRange {
            parameter: "margin",
            value: margin,
            expected,
        });
    }
    let test = paired_t(differences, 0.95)?;
    let t = (test.mean + margin) / test.se;
    let p = upper_tail(t, test.df);
    Ok(NonInferiority {
        mean: test.mean,
        margin,
        t,
        df: test.df,
        p,
        lower_bound: test.mean - upper_quantile(alpha, test.df) * test.se,
        shown: p < alpha,
    })
}

#[cfg(test)]
mod tests {
    use super::non_inferiority;

    #[test]
    fn the_bound_and_the_test_agree() {
        for margin in [0.0, 0.01, 0.02, 0.05, 0.1, 0.2] {
            let test = non_inferiority(&[-0.1, 0.05, -0.02, 0.0, -0.04], margin, 0.05).unwrap();
            assert_eq!(test.shown, test.lower_bound > -margin, "{margin}");
        }
        assert!(non_inferiority(&[0.1, 0.2], -0.1, 0.05).is_err());
        assert!(non_inferiority(&[0.1, 0.2], f64::NAN, 0.05).is_err());
    }
}
