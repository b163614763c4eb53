//! Q4_K and Q5_K: 256 values are eight runs of 32, each with a scale and a minimum of six bits.
//!
//! What ggml's `quantize_row_q4_K_ref` and `quantize_row_q5_K_ref` do, on eight runs at a time; every
//! operation on a run is in their order, so the bytes are theirs.

use half::f16;

use super::lanes::{LANES, Lanes, nearest, transposed};

/// Values of a run.
const RUN: usize = 32;
/// Values of a block.
pub(super) const BLOCK: usize = LANES * RUN;
/// Bytes before the values: two numbers of 16 bits, and scales and minima.
const HEAD: usize = 4 + 12;

/// How a type searches and stores.
#[derive(Clone, Copy)]
pub(in crate::quantize) struct Form {
    /// The highest level of a value.
    most: i32,
    /// Where the search for a scale begins, and how many steps it takes.
    first: f32,
    steps: i32,
}

pub(super) const Q4_K: Form = Form {
    most: 15,
    first: -1.0,
    steps: 20,
};
pub(super) const Q5_K: Form = Form {
    most: 31,
    first: -0.5,
    steps: 15,
};

/// Quantises one block; false, and anything in `bytes`, for a block with a run whose scale is 0.
#[inline(always)]
pub(super) fn quantize(form: Form, values: &[f32], bytes: &mut [u8]) -> bool {
    let x = transposed::<RUN>(values);
    let Some((scales, minima)) = search(form, &x) else {
        return false;
    };
    let max_scale = scales.0.into_iter().fold(0.0, f32::max);
    let max_min = minima.0.into_iter().fold(0.0, f32::max);
    let inverse = |max: f32| if max > 0.0 { 63.0 / max } else { 0.0 };
    let (inverse_scale, inverse_min) = (inverse(max_scale), inverse(max_min));
    let scale_of_scales = f16::from_f32(max_scale / 63.0);
    let scale_of_minima = f16::from_f32(max_min / 63.0);
    let mut steps = Lanes::splat(0.0);
    let mut offsets = Lanes::splat(0.0);
    let mut packed = [0u8; 12];
    for run in 0..LANES {
        let six_bits = |value: f32| (nearest(value) as u8).min(63);
        let scale = six_bits(inverse_scale * scales.0[run]);
        let min = six_bits(inverse_min * minima.0[run]);
        if run < 4 {
            packed[run] = scale;
            packed[run + 4] = min;
        } else {
            packed[run + 4] = (scale & 0xF) | ((min & 0xF) << 4);
            packed[run - 4] |= (scale >> 4) << 6;
            packed[run] |= (min >> 4) << 6;
        }
        steps.0[run] = scale_of_scales.to_f32() * f32::from(scale);
        offsets.0[run] = scale_of_minima.to_f32() * f32::from(min);
    }
    if steps.0.contains(&0.0) {
        return false;
    }
    let mut levels = [0u8; BLOCK];
    for (position, x) in x.into_iter().enumerate() {
        let level = ((x + offsets) / steps).level(0, form.most);
        for run in 0..LANES {
            levels[run * RUN + position] = level.0[run] as u8;
        }
    }
    bytes[..2].copy_from_slice(&scale_of_scales.to_le_bytes());
    bytes[2..4].copy_from_slice(&scale_of_minima.to_le_bytes());
    bytes[4..HEAD].copy_from_slice(&packed);
    store(form, &levels, &mut bytes[HEAD..]);
    true
}

/// Returns scales and negated minima of eight runs; none if one of them has no scale.
#[inline(always)]
fn search(form: Form, x: &[Lanes; RUN]) -> Option<(Lanes, Lanes)> {
    let zero = Lanes::splat(0.0);
    let mut squares = zero;
    for x in x {
        squares = squares + *x * *x;
    }
    let root = (squares / Lanes::splat(32.0)).sqrt();
    let weight = |x: Lanes| root + x.abs();
    let (mut min, mut max) = (x[0], x[0]);
    let mut sum_w = weight(x[0]);
    let mut sum_x = sum_w * x[0];
    for &x in &x[1..] {
        min = min.smaller(x);
        max = max.larger(x);
        let w = weight(x);
        sum_w = sum_w + w;
        sum_x = sum_x + w * x;
    }
    min = min.smaller(zero);
    if (0..LANES).any(|run| max.0[run] == min.0[run]) {
        return None;
    }
    let most = form.most as f32;
    let inverse = Lanes::splat(most) / (max - min);
    let mut scale = Lanes::splat(1.0) / inverse;
    let mut best_error = zero;
    for &x in x {
        let level = (inverse * (x - min)).level(0, form.most);
        let difference = scale * level + min - x;
        best_error = best_error + weight(x) * (difference * difference);
    }
    for step in 0..=form.steps {
        let numerator = form.first + 0.1 * step as f32 + most;
        // The minimum is the best one so far.
        let inverse = Lanes::splat(numerator) / (max - min);
        let (mut sum_l, mut sum_l2, mut sum_xl) = (zero, zero, zero);
        let mut levels = [zero; RUN];
        for (level, &x) in levels.iter_mut().zip(x) {
            *level = (inverse * (x - min)).level(0, form.most);
            let weighted = weight(x) * *level;
            sum_l = sum_l + weighted;
            sum_l2 = sum_l2 + weighted * *level;
            sum_xl = sum_xl + weighted * x;
        }
        let determinant = sum_w * sum_l2 - sum_l * sum_l;
        let this_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
        let this_min = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
        let is_above = this_min.exceeds(zero);
        let this_scale = is_above.choose(sum_xl / sum_l2, this_scale);
        let this_min = is_above.choose(zero, this_min);
        let mut error = zero;
        for (&level, &x) in levels.iter().zip(x) {
            let difference = this_scale * level + this_min - x;
            error = error + weight(x) * (difference * difference);
        }
        let is_better = determinant.exceeds(zero).and(best_error.exceeds(error));
        best_error = is_better.choose(error, best_error);
        scale = is_better.choose(this_scale, scale);
        min = is_better.choose(this_min, min);
    }
    Some((scale, zero - min))
}

/// Packs levels: the low four bits of two runs in a byte, and of Q5_K the fifth bits before them.
#[inline(always)]
fn store(form: Form, levels: &[u8; BLOCK], bytes: &mut [u8]) {
    let low = if form.most > 15 {
        let (high, low) = bytes.split_at_mut(RUN);
        high.fill(0);
        for (pair, levels) in levels.chunks_exact(2 * RUN).enumerate() {
            for position in 0..RUN {
                high[position] |= (levels[position] >> 4) << (2 * pair);
                high[position] |= (levels[position + RUN] >> 4) << (2 * pair + 1);
            }
        }
        low
    } else {
        bytes
    };
    for (bytes, levels) in low.chunks_exact_mut(RUN).zip(levels.chunks_exact(2 * RUN)) {
        for (position, byte) in bytes.iter_mut().enumerate() {
            *byte = (levels[position] & 0xF) | (levels[position + RUN] << 4);
        }
    }
}
