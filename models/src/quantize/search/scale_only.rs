//! Q6_K: 256 values are sixteen runs of 16, each with a scale of eight bits.
//!
//! What ggml's `quantize_row_q6_K_ref` does, on eight runs at a time; every operation on a run is in its
//! order, so the bytes are its.

use half::f16;

use super::lanes::{LANES, Lanes, nearest, transposed};

/// Values of a run.
const RUN: usize = 16;
/// Runs of a block.
const RUNS: usize = 16;
/// Values of a block.
pub(super) const BLOCK: usize = RUNS * RUN;
/// Half of the levels: they go from -32 to 31.
const HALF: i32 = 32;
/// Below this a run counts as zeros.
const LEAST: f32 = 1e-15;

/// Quantises one block; false, and anything in `bytes`, for a block with a run whose scale is 0.
#[inline(always)]
pub(super) fn quantize(values: &[f32], bytes: &mut [u8]) -> bool {
    let halves = values.split_at(BLOCK / 2);
    let runs = [transposed::<RUN>(halves.0), transposed::<RUN>(halves.1)];
    let mut scales = [0.0; RUNS];
    for (x, scales) in runs.iter().zip(scales.chunks_exact_mut(LANES)) {
        let Some(found) = search(x) else {
            return false;
        };
        scales.copy_from_slice(&found.0);
    }
    let mut max_scale = 0.0f32;
    for &scale in &scales {
        if scale.abs() > max_scale.abs() {
            max_scale = scale;
        }
    }
    if max_scale.abs() < LEAST {
        return false;
    }
    let inverse = -128.0 / max_scale;
    let scale_of_scales = f16::from_f32(1.0 / inverse);
    let mut levels = [0u8; BLOCK];
    let mut stored = [0u8; RUNS];
    for (half, x) in runs.into_iter().enumerate() {
        let mut steps = Lanes::splat(0.0);
        for lane in 0..LANES {
            let run = half * LANES + lane;
            let scale = nearest(inverse * scales[run]).min(127) as i8;
            stored[run] = scale.cast_unsigned();
            steps.0[lane] = scale_of_scales.to_f32() * f32::from(scale);
        }
        if steps.0.contains(&0.0) {
            return false;
        }
        for (position, x) in x.into_iter().enumerate() {
            let level = (x / steps).level(-HALF, HALF - 1);
            for lane in 0..LANES {
                let run = half * LANES + lane;
                levels[run * RUN + position] = (level.0[lane] as i32 + HALF) as u8;
            }
        }
    }
    let (low, rest) = bytes.split_at_mut(BLOCK / 2);
    let (high, rest) = rest.split_at_mut(BLOCK / 4);
    for (half, levels) in levels.chunks_exact(BLOCK / 2).enumerate() {
        for position in 0..32 {
            let level = |quarter: usize| levels[position + 32 * quarter];
            low[64 * half + position] = (level(0) & 0xF) | (level(2) << 4);
            low[64 * half + 32 + position] = (level(1) & 0xF) | (level(3) << 4);
            high[32 * half + position] =
                level(0) >> 4 | level(1) >> 4 << 2 | level(2) >> 4 << 4 | level(3) >> 4 << 6;
        }
    }
    rest[..RUNS].copy_from_slice(&stored);
    rest[RUNS..].copy_from_slice(&scale_of_scales.to_le_bytes());
    true
}

/// Returns the scales of eight runs; none if one of them is all zeros.
#[inline(always)]
fn search(x: &[Lanes; RUN]) -> Option<Lanes> {
    let zero = Lanes::splat(0.0);
    // The value furthest from zero, with its sign.
    let (mut furthest, mut max) = (zero, zero);
    for &x in x {
        let is_further = x.abs().exceeds(furthest);
        furthest = is_further.choose(x.abs(), furthest);
        max = is_further.choose(x, max);
    }
    if furthest.0.into_iter().any(|furthest| furthest < LEAST) {
        return None;
    }
    let half = HALF as f32;
    let (sum_lx, sum_l2) = sums(x, Lanes::splat(-half) / max);
    let has_levels = sum_l2.exceeds(zero);
    let mut scale = has_levels.choose(sum_lx / sum_l2, zero);
    let mut best = scale * sum_lx;
    for step in (-9i8..=9).filter(|&step| step != 0) {
        let numerator = -(half + 0.1 * f32::from(step));
        let (sum_lx, sum_l2) = sums(x, Lanes::splat(numerator) / max);
        let is_better = sum_l2
            .exceeds(zero)
            .and((sum_lx * sum_lx).exceeds(best * sum_l2));
        scale = is_better.choose(sum_lx / sum_l2, scale);
        best = is_better.choose(scale * sum_lx, best);
    }
    Some(scale)
}

/// Returns Σ x²·x·level and Σ x²·level² of eight runs, with levels that are values times `inverse`.
#[inline(always)]
fn sums(x: &[Lanes; RUN], inverse: Lanes) -> (Lanes, Lanes) {
    let (mut sum_lx, mut sum_l2) = (Lanes::splat(0.0), Lanes::splat(0.0));
    for &x in x {
        let level = (inverse * x).level(-HALF, HALF - 1);
        let weight = x * x;
        sum_lx = sum_lx + weight * x * level;
        sum_l2 = sum_l2 + weight * level * level;
    }
    (sum_lx, sum_l2)
}
