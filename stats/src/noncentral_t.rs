use crate::StatsError;
use crate::error::check_positive;
use crate::normal;

/// Exponents below this add nothing to a sum in double precision.
const NEGLIGIBLE: f64 = 45.0;

/// Returns P(T ≤ t) for the non-central t with `df` degrees of freedom.
///
/// `P = ∫ Φ(t·s − δ) f(s) ds` over `s = √(χ²/ν)`, by the trapezoidal rule in ln s, where the integrand
/// is smooth and vanishes at both ends, so that the rule converges exponentially (Trefethen &
/// Weideman 2014). Absolute error below 1e-12. Chosen over AS 243, whose series loses its tail for
/// large δ. Errors with `OutOfRange` unless `df` > 0, and `t` and `noncentrality` are finite and
/// below 1000 in magnitude.
pub fn noncentral_t_cdf(t: f64, df: f64, noncentrality: f64) -> Result<f64, StatsError> {
    check_positive("degrees of freedom", df)?;
    for (parameter, value) in [("t", t), ("noncentrality", noncentrality)] {
        if value.is_nan() || value.abs() > 1000.0 {
            return Err(StatsError::OutOfRange {
                parameter,
                value,
                expected: "-1000 to 1000",
            });
        }
    }
    Ok(cdf(t, df, noncentrality))
}

pub(crate) fn cdf(t: f64, df: f64, noncentrality: f64) -> f64 {
    expectation(df, noncentrality, |s| normal::cdf(t * s - noncentrality))
}

/// P(T > t), computed from its own side, so that a small one keeps its digits.
pub(crate) fn upper_tail(t: f64, df: f64, noncentrality: f64) -> f64 {
    expectation(df, noncentrality, |s| {
        normal::upper_tail(t * s - noncentrality)
    })
}

/// Mean of a function of `s = √(χ²/ν)`.
fn expectation(df: f64, noncentrality: f64, function: impl Fn(f64) -> f64) -> f64 {
    let spread = (NEGLIGIBLE / df).sqrt();
    let start = -(spread + NEGLIGIBLE / df);
    // A twentieth of the scale on which either factor changes.
    let step = (0.05 / df.sqrt()).min(0.2 / (1.0 + noncentrality.abs()));
    let (mut sum, mut weights) = (0.0, 0.0);
    let mut n_steps = 0.0;
    loop {
        let log_s = start + step * n_steps;
        if log_s > spread {
            // Dividing by the weights' own sum takes the place of the density's constant.
            return sum / weights;
        }
        let weight = (df * (log_s - (2.0 * log_s).exp_m1() / 2.0)).exp();
        weights += weight;
        sum += weight * function(log_s.exp());
        n_steps += 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::{cdf, noncentral_t_cdf, upper_tail};
    use crate::student_t;

    #[test]
    fn without_noncentrality_it_is_student_s_t() {
        for df in [1.0, 2.5, 14.0, 59.0, 1000.0] {
            for t in [-30.0, -2.0, -0.1, 0.0, 1.0, 5.0] {
                let central = student_t::upper_tail(t, df);
                assert!((upper_tail(t, df, 0.0) - central).abs() < 1e-13, "{t} {df}");
                assert!(
                    (cdf(t, df, 0.0) - (1.0 - central)).abs() < 1e-13,
                    "{t} {df}"
                );
            }
        }
    }

    #[test]
    fn parameters_without_an_answer_are_errors() {
        assert!(noncentral_t_cdf(f64::NAN, 3.0, 0.0).is_err());
        assert!(noncentral_t_cdf(0.0, 0.0, 0.0).is_err());
        assert!(noncentral_t_cdf(0.0, 3.0, f64::INFINITY).is_err());
    }
}
