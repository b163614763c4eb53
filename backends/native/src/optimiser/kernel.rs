//! The update of `AdamW`, in the order and with the roundings of PyTorch on a CPU.
//!
//! PyTorch's loops are compiled for processors that multiply and add in one; so are these, and where a
//! processor has no such instruction, the same is computed slowly.

#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "instructions that were found to be there are called"
    )
)]

use super::moments::{BLOCK, Bytes};
use crate::dynamic_code::DynamicCode;

/// The numbers of one step, the same for all values of a parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Factors {
    beta1: f32,
    beta2: f32,
    /// 1 − β₁.
    weight1: f32,
    /// 1 − β₂.
    weight2: f32,
    /// 1 − learning rate × weight decay.
    decay: f32,
    /// −learning rate / (1 − β₁ᵗ).
    step_size: f32,
    /// √(1 − β₂ᵗ).
    correction2: f32,
    eps: f32,
}

impl Factors {
    /// Returns those of step `step`, from 1; computed in `f64`, as Python does.
    #[expect(clippy::cast_possible_truncation, reason = "rounding is meant")]
    pub(super) fn new(
        (beta1, beta2): (f64, f64),
        eps: f64,
        weight_decay: f64,
        learning_rate: f64,
        step: u64,
    ) -> Self {
        let step = step as f64;
        Self {
            beta1: beta1 as f32,
            beta2: beta2 as f32,
            weight1: (1.0 - beta1) as f32,
            weight2: (1.0 - beta2) as f32,
            decay: (1.0 - learning_rate * weight_decay) as f32,
            step_size: -(learning_rate / (1.0 - beta1.powf(step))) as f32,
            correction2: (1.0 - beta2.powf(step)).sqrt() as f32,
            eps: eps as f32,
        }
    }

    /// Moves a parameter by its moments.
    #[inline]
    fn moved(&self, value: f32, exp_avg: f32, exp_avg_sq: f32) -> f32 {
        let denominator = exp_avg_sq.sqrt() / self.correction2 + self.eps;
        value * self.decay + self.step_size * exp_avg / denominator
    }

    #[inline]
    fn exp_avg_sq(&self, before: f32, gradient: f32) -> f32 {
        (self.weight2 * gradient).mul_add(gradient, before * self.beta2)
    }
}

/// Updates values and their moments; all of the same length.
pub(super) fn update(
    factors: &Factors,
    values: &mut [f32],
    gradients: &[f32],
    exp_avg: &mut [f32],
    exp_avg_sq: &mut [f32],
) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor was just found to have both.
        unsafe { update_avx2(factors, values, gradients, exp_avg, exp_avg_sq) };
        return;
    }
    update_portably(factors, values, gradients, exp_avg, exp_avg_sq);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn update_avx2(
    factors: &Factors,
    values: &mut [f32],
    gradients: &[f32],
    exp_avg: &mut [f32],
    exp_avg_sq: &mut [f32],
) {
    update_portably(factors, values, gradients, exp_avg, exp_avg_sq);
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "compiled for the features of its caller"
)]
fn update_portably(
    factors: &Factors,
    values: &mut [f32],
    gradients: &[f32],
    exp_avg: &mut [f32],
    exp_avg_sq: &mut [f32],
) {
    let moments = exp_avg.iter_mut().zip(exp_avg_sq);
    for ((value, &gradient), (exp_avg, exp_avg_sq)) in values.iter_mut().zip(gradients).zip(moments)
    {
        // PyTorch's `lerp_`, which goes from the end that is nearer.
        *exp_avg = if factors.weight1 < 0.5 {
            factors.weight1.mul_add(gradient - *exp_avg, *exp_avg)
        } else {
            (-(gradient - *exp_avg)).mul_add(factors.beta1, gradient)
        };
        *exp_avg_sq = factors.exp_avg_sq(*exp_avg_sq, gradient);
        *value = factors.moved(*value, *exp_avg, *exp_avg_sq);
    }
}

/// Updates a block of at most 256 values whose moments are kept in bytes.
///
/// Of the moments the block's; there are as many gradients and bytes as values.
pub(super) fn update_bytes(
    factors: &Factors,
    values: &mut [f32],
    gradients: &[f32],
    exp_avg: &mut Bytes<'_>,
    exp_avg_sq: &mut Bytes<'_>,
) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor was just found to have both.
        unsafe { update_bytes_avx2(factors, values, gradients, exp_avg, exp_avg_sq) };
        return;
    }
    update_bytes_portably(factors, values, gradients, exp_avg, exp_avg_sq);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn update_bytes_avx2(
    factors: &Factors,
    values: &mut [f32],
    gradients: &[f32],
    exp_avg: &mut Bytes<'_>,
    exp_avg_sq: &mut Bytes<'_>,
) {
    update_bytes_portably(factors, values, gradients, exp_avg, exp_avg_sq);
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "compiled for the features of its caller"
)]
fn update_bytes_portably(
    factors: &Factors,
    values: &mut [f32],
    gradients: &[f32],
    exp_avg: &mut Bytes<'_>,
    exp_avg_sq: &mut Bytes<'_>,
) {
    let (signed, unsigned) = (DynamicCode::signed(), DynamicCode::unsigned());
    let count = values.len();
    let (mut first, mut second) = ([0.0f32; BLOCK], [0.0f32; BLOCK]);
    let (first, second) = (&mut first[..count], &mut second[..count]);
    for (moment, byte) in first.iter_mut().zip(exp_avg.bytes.iter()) {
        *moment = signed.value(*byte) * *exp_avg.absmax;
    }
    for (moment, byte) in second.iter_mut().zip(exp_avg_sq.bytes.iter()) {
        *moment = unsigned.value(*byte) * *exp_avg_sq.absmax;
    }
    let moments = first.iter_mut().zip(second.iter_mut());
    for ((value, &gradient), (first, second)) in values.iter_mut().zip(gradients).zip(moments) {
        *first = factors.weight1.mul_add(gradient, *first * factors.beta1);
        *second = factors.exp_avg_sq(*second, gradient);
        *value = factors.moved(*value, *first, *second);
    }
    *exp_avg.absmax = signed.encode(first, exp_avg.bytes);
    *exp_avg_sq.absmax = unsigned.encode(second, exp_avg_sq.bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_processor_has_gives_the_same_bits() {
        let numbers = |seed: u16| -> Vec<f32> {
            let count = 0..1003u16;
            count
                .map(|idx| f32::from(idx.wrapping_mul(seed) >> 3) / 977.0 - 3.7)
                .collect()
        };
        let factors = Factors::new((0.9, 0.999), 1e-8, 0.1, 3e-4, 3);
        let (values, gradients, exp_avg) = (numbers(31_397), numbers(7919), numbers(39_193));
        let exp_avg_sq: Vec<f32> = exp_avg.iter().map(|value| value * value).collect();
        let mut one = (values.clone(), exp_avg.clone(), exp_avg_sq.clone());
        let mut other = (values, exp_avg, exp_avg_sq);
        update(&factors, &mut one.0, &gradients, &mut one.1, &mut one.2);
        update_portably(
            &factors,
            &mut other.0,
            &gradients,
            &mut other.1,
            &mut other.2,
        );
        assert_eq!(one, other);

        let run = |update: fn(&Factors, &mut [f32], &[f32], &mut Bytes<'_>, &mut Bytes<'_>)| {
            let (mut values, mut bytes) = (numbers(31_397), ([200u8; BLOCK], [200u8; BLOCK]));
            let (mut first, mut second) = (0.7, 1.3);
            update(
                &factors,
                &mut values[..BLOCK],
                &gradients[..BLOCK],
                &mut Bytes {
                    bytes: &mut bytes.0,
                    absmax: &mut first,
                },
                &mut Bytes {
                    bytes: &mut bytes.1,
                    absmax: &mut second,
                },
            );
            (values, bytes, first, second)
        };
        assert_eq!(run(update_bytes), run(update_bytes_portably));
    }
}
