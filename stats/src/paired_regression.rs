use crate::error::{check_count, check_lengths, check_open_unit};
use crate::sample::{RELATIVE_TIE, check_values, check_variation, mean_of, variance_of};
use crate::student_t::{two_sided, upper_quantile};
use crate::{Interval, StatsError};

/// A mean of paired differences where the pairs also differ in something else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedRegression {
    /// Number of pairs.
    pub n: usize,
    /// The difference to be expected of a pair that does not differ in the covariate: the intercept.
    pub adjusted: f64,
    /// Its standard error.
    pub se: f64,
    /// `adjusted` divided by its standard error.
    pub t: f64,
    /// Degrees of freedom, n − 2.
    pub df: f64,
    /// P(|T| ≥ |t|): evidence against "no difference at equal covariate".
    pub p_two_sided: f64,
    /// Two-sided interval of `adjusted`.
    pub ci: Interval,
    /// Change of the difference for each unit of the covariate's difference.
    pub slope: f64,
    /// Two-sided p of the slope.
    pub slope_p: f64,
}

/// Regresses paired differences on the differences of a covariate.
///
/// `differences`, `covariate`: candidate − baseline, one per persona, of the score and e.g. of the
/// logarithm of reply length. Least squares of `d = a + b·x`: `b = Sxy/Sxx`, `a = d̄ − b·x̄`, residual
/// variance `s² = Σ(d − a − b·x)²/(n − 2)`, `se(a) = s·√(1/n + x̄²/Sxx)`, `se(b) = s/√Sxx`, t with n − 2
/// degrees of freedom. Assumes a straight line and independent, roughly normal residuals. Where no
/// pair has a covariate difference near 0, a is an extrapolation.
///
/// Errors with `TooFew` below four pairs, `LengthMismatch`, `NonFinite`, `TooLarge`, `OutOfRange` for
/// the level, `NoVariation` if the covariate does not vary, `Undefined` if the line fits exactly.
pub fn paired_regression(
    differences: &[f64],
    covariate: &[f64],
    level: f64,
) -> Result<PairedRegression, StatsError> {
    check_open_unit("confidence level", level)?;
    check_lengths(
        ("differences", differences.len()),
        ("covariate differences", covariate.len()),
    )?;
    check_count("a paired regression", 4, differences.len())?;
    check_values(differences)?;
    check_values(covariate)?;
    check_variation(covariate)?;
    let n = differences.len() as f64;
    let (mean, centre) = (mean_of(differences), mean_of(covariate));
    let spread = (n - 1.0) * variance_of(covariate);
    let pairs = || covariate.iter().zip(differences);
    let slope = pairs().map(|(x, d)| (x - centre) * (d - mean)).sum::<f64>() / spread;
    let adjusted = mean - slope * centre;
    let residuals: f64 = pairs()
        .map(|(x, d)| (d - mean - slope * (x - centre)).powi(2))
        .sum();
    let largest = differences
        .iter()
        .fold(0.0_f64, |most, d| most.max(d.abs()));
    let df = n - 2.0;
    let error = (residuals / df).sqrt();
    if error <= RELATIVE_TIE * largest {
        return Err(StatsError::Undefined {
            what: "the error of a paired regression",
            reason: "the line fits every pair exactly",
        });
    }
    let se = error * (1.0 / n + centre * centre / spread).sqrt();
    let t = adjusted / se;
    let half_width = upper_quantile((1.0 - level) / 2.0, df) * se;
    Ok(PairedRegression {
        n: differences.len(),
        adjusted,
        se,
        t,
        df,
        p_two_sided: two_sided(t, df),
        ci: Interval {
            lower: adjusted - half_width,
            upper: adjusted + half_width,
            level,
        },
        slope,
        slope_p: two_sided(slope / (error / spread.sqrt()), df),
    })
}

#[cfg(test)]
mod tests {
    use super::paired_regression;
    use crate::StatsError;

    #[test]
    fn what_length_explains_is_taken_away() {
        // The difference is twice that of length, less or more a little.
        let length = [0.1, 0.2, 0.3, 0.4];
        let all = [0.21, 0.39, 0.61, 0.79];
        let fit = paired_regression(&all, &length, 0.95).unwrap();
        assert!(
            fit.adjusted.abs() < 0.02 && (fit.slope - 2.0).abs() < 0.1,
            "{fit:?}"
        );
        assert!(
            fit.ci.contains(0.0) && fit.p_two_sided > 0.5 && fit.slope_p < 0.01,
            "{fit:?}"
        );
    }

    #[test]
    fn what_has_no_line_is_an_error() {
        let of = |d: &[f64], x: &[f64]| paired_regression(d, x, 0.95);
        let line = [0.1, 0.2, 0.3, 0.4];
        assert!(matches!(
            of(&line[..3], &line[..3]),
            Err(StatsError::TooFew { .. })
        ));
        assert!(matches!(
            of(&line, &line[..3]),
            Err(StatsError::LengthMismatch { .. })
        ));
        assert!(matches!(
            of(&line, &[0.2; 4]),
            Err(StatsError::NoVariation { .. })
        ));
        assert!(matches!(
            of(&line, &line),
            Err(StatsError::Undefined { .. })
        ));
        assert!(matches!(
            of(&[0.0; 4], &line),
            Err(StatsError::Undefined { .. })
        ));
        let nan = [0.1, f64::NAN, 0.3, 0.4];
        assert!(matches!(
            of(&line, &nan),
            Err(StatsError::NonFinite { index: 1, .. })
        ));
    }
}
