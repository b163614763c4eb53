//! The two loops that time goes into, compiled for AVX2 besides what every processor has.
//!
//! Both give the same bits: the products are the same, and nothing is added up.

#![expect(
    unsafe_code,
    reason = "instructions that were found to be there are called"
)]

use super::BLOCK;
use super::code::{self, VALUES};
use super::quantiser::SMALLEST_SCALE;

/// Reads blocks back.
///
/// `packed`: 32 bytes a block; `scales`: one a block; `values`: 64 a block, written.
pub(super) fn dequantise(packed: &[u8], scales: &[f32], values: &mut [f32]) {
    let (packed, _) = packed.as_chunks();
    let (values, _) = values.as_chunks_mut();
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was just found to have AVX2.
        unsafe { dequantise_avx2(packed, scales, values) };
        return;
    }
    dequantise_portably(packed, scales, values);
}

fn dequantise_portably(packed: &[[u8; BLOCK / 2]], scales: &[f32], values: &mut [[f32; BLOCK]]) {
    for ((packed, scale), values) in packed.iter().zip(scales).zip(values) {
        let scaled = VALUES.map(|value| value * scale);
        let (pairs, _) = values.as_chunks_mut::<2>();
        for (byte, pair) in packed.iter().zip(pairs) {
            pair[0] = scaled[usize::from(byte >> 4)];
            pair[1] = scaled[usize::from(byte & 15)];
        }
    }
}

/// Looks eight values up at once: in the lower eight numbers and in the upper eight, of which the
/// fourth bit chooses.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn dequantise_avx2(packed: &[[u8; BLOCK / 2]], scales: &[f32], values: &mut [[f32; BLOCK]]) {
    use std::arch::x86_64::{
        _mm256_blendv_ps, _mm256_castsi256_ps, _mm256_loadu_ps, _mm256_mul_ps,
        _mm256_permutevar8x32_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setr_epi32,
        _mm256_slli_epi32, _mm256_srlv_epi32, _mm256_storeu_ps,
    };

    // The first value of a byte is in its upper bits.
    let shifts = _mm256_setr_epi32(4, 0, 12, 8, 20, 16, 28, 24);
    // SAFETY: both loads read 8 of the 16 numbers.
    let (lower, upper) = unsafe {
        let table = VALUES.as_ptr();
        (_mm256_loadu_ps(table), _mm256_loadu_ps(table.add(8)))
    };
    for ((packed, &scale), values) in packed.iter().zip(scales).zip(values) {
        let scale = _mm256_set1_ps(scale);
        let (lower, upper) = (_mm256_mul_ps(lower, scale), _mm256_mul_ps(upper, scale));
        let (fours, _) = packed.as_chunks::<4>();
        let (eights, _) = values.as_chunks_mut::<8>();
        for (four, eight) in fours.iter().zip(eights) {
            let codes = _mm256_srlv_epi32(_mm256_set1_epi32(i32::from_le_bytes(*four)), shifts);
            let is_upper = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(codes));
            let found = _mm256_blendv_ps(
                _mm256_permutevar8x32_ps(lower, codes),
                _mm256_permutevar8x32_ps(upper, codes),
                is_upper,
            );
            // SAFETY: there is room for eight values.
            unsafe { _mm256_storeu_ps(eight.as_mut_ptr(), found) };
        }
    }
}

/// Quantises blocks, and tells whether all their values are finite; if not, what is written means
/// nothing.
///
/// `values`: 64 a block; `packed`: 32 bytes a block and `scales`: one a block, written.
pub(super) fn quantise(values: &[f32], packed: &mut [u8], scales: &mut [f32]) -> bool {
    let (values, _) = values.as_chunks();
    let (packed, _) = packed.as_chunks_mut();
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was just found to have AVX2.
        return unsafe { quantise_avx2(values, packed, scales) };
    }
    quantise_portably(values, packed, scales)
}

fn quantise_portably(
    values: &[[f32; BLOCK]],
    packed: &mut [[u8; BLOCK / 2]],
    scales: &mut [f32],
) -> bool {
    let mut finite = true;
    for ((values, packed), scale) in values.iter().zip(packed).zip(scales) {
        let bits = values.iter().map(|value| value.abs().to_bits());
        *scale = scale_of(bits, &mut finite);
        let inverse = inverse(*scale);
        let (pairs, _) = values.as_chunks::<2>();
        for (byte, pair) in packed.iter_mut().zip(pairs) {
            let [first, second] = pair.map(|value| code::nearest(value * inverse));
            *byte = first << 4 | second;
        }
    }
    finite
}

/// Returns the largest of magnitudes, given as their bits, and notes if that is not finite.
///
/// Magnitudes compare as their bits do; infinity's and NaN's are the largest.
fn scale_of(bits: impl Iterator<Item = u32>, finite: &mut bool) -> f32 {
    let largest = bits.fold(0, u32::max);
    *finite &= largest < f32::INFINITY.to_bits();
    f32::from_bits(largest)
}

/// Returns what values are multiplied by to become shares of their block's scale.
fn inverse(scale: f32) -> f32 {
    1.0 / scale.max(SMALLEST_SCALE)
}

/// Counts, for eight values at once, the bounds that they are beyond.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn quantise_avx2(
    values: &[[f32; BLOCK]],
    packed: &mut [[u8; BLOCK / 2]],
    scales: &mut [f32],
) -> bool {
    use std::arch::x86_64::{
        __m256i, _CMP_GT_OQ, _mm256_and_si256, _mm256_castps_si256, _mm256_cmp_ps, _mm256_loadu_ps,
        _mm256_max_epu32, _mm256_mul_ps, _mm256_or_si256, _mm256_set1_epi32, _mm256_set1_ps,
        _mm256_setzero_si256, _mm256_slli_epi32, _mm256_srli_epi64, _mm256_storeu_si256,
        _mm256_sub_epi32,
    };

    // SAFETY: there is room for eight numbers.
    let store = |eight: &mut [u32; 8], register: __m256i| unsafe {
        _mm256_storeu_si256(eight.as_mut_ptr().cast(), register);
    };
    // SAFETY: eight values are read.
    let load = |eight: &[f32; 8]| unsafe { _mm256_loadu_ps(eight.as_ptr()) };
    let mut finite = true;
    for ((values, packed), scale) in values.iter().zip(packed).zip(scales) {
        let (eights, _) = values.as_chunks::<8>();
        let mut largest = _mm256_setzero_si256();
        for eight in eights {
            let magnitudes = _mm256_set1_epi32(i32::MAX);
            let bits = _mm256_and_si256(_mm256_castps_si256(load(eight)), magnitudes);
            largest = _mm256_max_epu32(largest, bits);
        }
        let mut lanes = [0; 8];
        store(&mut lanes, largest);
        *scale = scale_of(lanes.into_iter(), &mut finite);
        let inverse = _mm256_set1_ps(inverse(*scale));
        let (fours, _) = packed.as_chunks_mut::<4>();
        for (eight, four) in eights.iter().zip(fours) {
            let shares = _mm256_mul_ps(load(eight), inverse);
            let mut codes = _mm256_setzero_si256();
            for bound in code::BOUNDS {
                // −1 where a share is beyond.
                let beyond = _mm256_cmp_ps::<_CMP_GT_OQ>(shares, _mm256_set1_ps(bound));
                codes = _mm256_sub_epi32(codes, _mm256_castps_si256(beyond));
            }
            // The second of a pair beside the first of it.
            codes = _mm256_or_si256(
                _mm256_slli_epi32::<4>(codes),
                _mm256_srli_epi64::<32>(codes),
            );
            store(&mut lanes, codes);
            *four = [lanes[0], lanes[2], lanes[4], lanes[6]].map(|pair| pair.to_le_bytes()[0]);
        }
    }
    finite
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_processor_has_gives_the_same_bits() {
        let blocks = 67;
        let values: Vec<f32> = (0..blocks * BLOCK)
            .map(|idx| {
                let mixed = idx.wrapping_mul(0x9E37_79B9) >> 8 & 0xFF_FFFF;
                (mixed as f32 / 8_388_608.0 - 1.0).powi(3) * (idx / BLOCK) as f32
            })
            .collect();
        let (mut packed, mut scales) = (vec![0; blocks * BLOCK / 2], vec![0.0; blocks]);
        assert!(quantise(&values, &mut packed, &mut scales));
        let (mut packed_again, mut scales_again) = (packed.clone(), scales.clone());
        packed_again.fill(0);
        scales_again.fill(0.0);
        let chunks = (values.as_chunks().0, packed_again.as_chunks_mut().0);
        assert!(quantise_portably(chunks.0, chunks.1, &mut scales_again));
        assert_eq!(packed, packed_again);
        assert_eq!(scales, scales_again);

        let mut read = vec![0.0; values.len()];
        dequantise(&packed, &scales, &mut read);
        let mut read_again = vec![1.0; values.len()];
        let chunks = (packed.as_chunks().0, read_again.as_chunks_mut().0);
        dequantise_portably(chunks.0, &scales, chunks.1);
        let bits = |values: &[f32]| {
            values
                .iter()
                .map(|value| value.to_bits())
                .collect::<Vec<_>>()
        };
        assert_eq!(bits(&read), bits(&read_again));
    }
}
