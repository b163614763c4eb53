use std::f64::consts::{FRAC_1_SQRT_2, PI};

use libm::erfc;
use statrs::function::erf::erfc_inv;

/// P(Z ≥ z), accurate in the far tail.
///
/// libm's `erfc` is right to the last bit or two; statrs' has a relative error of 1e-10.
pub(crate) fn upper_tail(z: f64) -> f64 {
    0.5 * erfc(z * FRAC_1_SQRT_2)
}

/// P(Z ≤ z).
pub(crate) fn cdf(z: f64) -> f64 {
    upper_tail(-z)
}

/// The z with P(Z ≥ z) = `tail`, for a tail strictly between 0 and 1.
///
/// Two Newton steps take statrs' inverse to the accuracy of `erfc`.
pub(crate) fn upper_quantile(tail: f64) -> f64 {
    let mut z = erfc_inv(2.0 * tail) / FRAC_1_SQRT_2;
    for _ in 0..2 {
        let density = (-0.5 * z * z).exp() / (2.0 * PI).sqrt();
        if density > 0.0 {
            z += (upper_tail(z) - tail) / density;
        }
    }
    z
}

#[cfg(test)]
mod tests {
    use super::{upper_quantile, upper_tail};

    #[test]
    fn quantiles_and_tails_are_inverse() {
        for tail in [1e-300, 1e-30, 1e-12, 0.00625, 0.025, 0.3, 0.5, 0.9] {
            let back = upper_tail(upper_quantile(tail));
            // A last bit of z moves a far tail by z² as much.
            assert!((back / tail - 1.0).abs() < 1e-12, "{tail} {back}");
        }
        assert!((upper_quantile(0.025) - 1.959_963_984_540_054).abs() < 1e-15);
    }
}
