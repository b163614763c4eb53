//! The exponential function, written so that the compiler makes vectors of it.

#![expect(
    clippy::inline_always,
    reason = "vectors are made only of what lies within one function"
)]

/// Computes eˣ, with a relative error below 2⁻²² (checked in the tests); 0 below −87.3, 1.7·10³⁸
/// above 88.3.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2, and eʳ by the polynomial of Cephes' `expf` (Moshier).
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    /// Adding it rounds to an integer, which then stands in the lower bits.
    const ROUNDER: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let is_tiny = x < -87.3;
    let x = x.clamp(-87.3, 88.3);
    let rounded = x * std::f32::consts::LOG2_E + ROUNDER;
    let n = rounded - ROUNDER;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let mut polynomial = 1.987_569_2e-4;
    for coefficient in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        5.0e-1,
    ] {
        polynomial = polynomial * r + coefficient;
    }
    let mantissa = polynomial * (r * r) + r + 1.0;
    let exponent = (rounded.to_bits() << 23).wrapping_add(1.0_f32.to_bits());
    let value = mantissa * f32::from_bits(exponent);
    if is_tiny { 0.0 } else { value }
}

/// Computes 1 / (1 + e⁻ˣ).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Computes the hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    // Without the loss of digits that 1 − 2/(e²ˣ + 1) has near 0: its series there.
    let far = 1.0 - 2.0 / (exp(2.0 * x) + 1.0);
    let square = x * x;
    let near = x * (1.0 - square * (1.0 / 3.0 - square * (2.0 / 15.0 - square * (17.0 / 315.0))));
    if x.abs() < 0.2 { near } else { far }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_library() {
        for step in -88_000..88_000 {
            let x = step as f32 / 1000.0;
            let expected = f64::from(x).exp();
            if x > -87.3 {
                let relative = (f64::from(exp(x)) - expected).abs() / expected;
                assert!(relative < 2.4e-7, "exp({x}) is off by {relative}");
            }
            let relative = (f64::from(tanh(x)) - f64::from(x).tanh()).abs();
            assert!(
                relative <= 5e-7 * f64::from(x.abs()).min(1.0) + 1e-12,
                "tanh({x}) is off by {relative}"
            );
        }
        assert_eq!(
            (exp(-1000.0), exp(f32::NEG_INFINITY), exp(0.0)),
            (0.0, 0.0, 1.0)
        );
        assert!(exp(1000.0).is_finite());
        assert!(exp(f32::NAN).is_nan());
    }
}
