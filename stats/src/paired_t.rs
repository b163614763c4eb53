use crate::error::{check_count, check_open_unit};
use crate::sample::{check_values, check_variation, mean_of, variance_of};
use crate::student_t::{two_sided, upper_quantile, upper_tail};
use crate::{Interval, StatsError};

/// What the paired t-test says about one sample of differences.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedT {
    /// Number of pairs.
    pub n: usize,
    /// Mean difference d̄.
    pub mean: f64,
    /// Standard deviation of the differences `s_d`, with n − 1.
    pub sd: f64,
    /// Standard error of the mean difference, `s_d/√n`.
    pub se: f64,
    /// d̄ divided by its standard error.
    pub t: f64,
    /// Degrees of freedom, n − 1.
    pub df: f64,
    /// P(|T| ≥ |t|): evidence against "no difference".
    pub p_two_sided: f64,
    /// P(T ≥ t): evidence that the mean difference is above 0.
    pub p_greater: f64,
    /// P(T ≤ t): evidence that the mean difference is below 0.
    pub p_less: f64,
    /// Two-sided interval of the mean difference.
    pub ci: Interval,
}

/// Tests whether the mean of paired differences is 0, by Student's t.
///
/// `differences`: candidate − baseline, one per persona (the pair is the persona; several
/// conversations of one persona are averaged first). `level`: of the interval, e.g. 0.95.
/// `t = d̄/(s_d/√n)` with n − 1 degrees of freedom; interval `d̄ ± t_{(1+level)/2}·s_d/√n` (Student
/// 1908). Assumes independent pairs and roughly normal differences; exact if they are normal.
///
/// Errors with `TooFew` below two pairs, `NonFinite`, `TooLarge`, `OutOfRange` for the level, and
/// `NoVariation` if the differences agree to 1e-12 of the largest.
pub fn paired_t(differences: &[f64], level: f64) -> Result<PairedT, StatsError> {
    check_open_unit("confidence level", level)?;
    check_count("a paired t-test", 2, differences.len())?;
    check_values(differences)?;
    check_variation(differences)?;
    let n = differences.len();
    let mean = mean_of(differences);
    let sd = variance_of(differences).sqrt();
    let se = sd / (n as f64).sqrt();
    let t = mean / se;
    let df = (n - 1) as f64;
    let half_width = upper_quantile((1.0 - level) / 2.0, df) * se;
    Ok(PairedT {
        n,
        mean,
        sd,
        se,
        t,
        df,
        p_two_sided: two_sided(t, df),
        p_greater: upper_tail(t, df),
        p_less: upper_tail(-t, df),
        ci: Interval {
            lower: mean - half_width,
            upper: mean + half_width,
            level,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::paired_t;
    use crate::StatsError;

    #[test]
    fn too_little_is_an_error_and_never_a_number() {
        assert!(matches!(
            paired_t(&[], 0.95),
            Err(StatsError::TooFew {
                needed: 2,
                got: 0,
                ..
            })
        ));
        assert!(matches!(
            paired_t(&[0.1], 0.95),
            Err(StatsError::TooFew { got: 1, .. })
        ));
        assert!(matches!(
            paired_t(&[0.1; 9], 0.95),
            Err(StatsError::NoVariation { n: 9, .. })
        ));
        assert!(matches!(
            paired_t(&[0.0; 2], 0.95),
            Err(StatsError::NoVariation { .. })
        ));
        let nan = paired_t(&[0.1, f64::NAN, 0.2], 0.95);
        assert!(matches!(nan, Err(StatsError::NonFinite { index: 1, .. })));
        for level in [0.0, 1.0, -0.5, 95.0, f64::NAN] {
            assert!(matches!(
                paired_t(&[0.1, 0.2], level),
                Err(StatsError::OutOfRange { .. })
            ));
        }
    }

    #[test]
    fn differences_equal_but_for_rounding_have_no_variation() {
        let differences = [0.3 - 0.2, 0.4 - 0.3, 0.1];
        assert!(differences[0] != differences[1]);
        assert!(matches!(
            paired_t(&differences, 0.95),
            Err(StatsError::NoVariation { .. })
        ));
    }

    #[test]
    fn two_pairs_are_enough() {
        // One degree of freedom is the Cauchy distribution: p = 1 − 2·atan(|t|)/π.
        let test = paired_t(&[0.1, 0.3], 0.95).unwrap();
        let expected = 1.0 - 2.0 * test.t.atan() / std::f64::consts::PI;
        assert!((test.p_two_sided - expected).abs() < 1e-14);
    }
}
