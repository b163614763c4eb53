//! Dropout whose choice depends on the sequence and the place in it, not on the batch it is in.

use candle_core::Tensor;
use rayon::prelude::*;

use crate::batch::Batch;
use crate::host;

/// What is left out in one pass.
///
/// Forward and backward pass, a layer computed again, packing and any split of a step into batches all leave
/// the same values out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropout<'a> {
    rate: f64,
    /// A random number for every token.
    rows: &'a [u64],
}

/// Returns a random number for every token of a batch, for [`Dropout`].
pub(crate) fn rows(batch: &Batch, seed: u64) -> Vec<u64> {
    let sequences = batch.sequences().zip(batch.keys());
    sequences
        .flat_map(|(sequence, &key)| {
            let key = mixed(seed ^ mixed(key));
            (0..sequence.len() as u64).map(move |position| mixed(key ^ position))
        })
        .collect()
}

impl<'a> Dropout<'a> {
    /// Leaves values out with a probability of `rate`, below 1.
    pub(crate) fn new(rate: f64, rows: &'a [u64]) -> Self {
        Self { rate, rows }
    }

    /// Returns the values that are left, larger by what the others had; the others are 0.
    pub(crate) fn apply(&self, values: &[f32], columns: usize, ordinal: u32) -> Vec<f32> {
        let mut left = vec![0.0; values.len()];
        self.apply_and_add(values, columns, ordinal, &mut left);
        left
    }

    /// Adds them to `sums`.
    pub(crate) fn apply_and_add(
        &self,
        values: &[f32],
        columns: usize,
        ordinal: u32,
        sums: &mut [f32],
    ) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of 65,536"
        )]
        let threshold = (self.rate * 65_536.0).round() as u32;
        let scale = (1.0 / (1.0 - f64::from(threshold) / 65_536.0)) as f32;
        let rows = sums.par_chunks_mut(columns).zip(values.par_chunks(columns));
        rows.zip(self.rows).for_each(|((sums, values), &row)| {
            let row = mixed(row ^ (u64::from(ordinal) << 32));
            let pieces = sums.chunks_mut(4).zip(values.chunks(4));
            for (piece, (sums, values)) in pieces.enumerate() {
                let random = mixed(row.wrapping_add(piece as u64));
                for (idx, (sum, value)) in sums.iter_mut().zip(values).enumerate() {
                    let drawn = (random >> (16 * idx)) as u32 & 0xFFFF;
                    *sum += if drawn < threshold {
                        0.0
                    } else {
                        scale * value
                    };
                }
            }
        });
    }

    /// Returns the values that are left of a tensor that is not the host's.
    pub(crate) fn apply_anywhere(
        &self,
        values: &Tensor,
        ordinal: u32,
    ) -> candle_core::Result<Tensor> {
        let (count, columns) = values.dims2()?;
        let mask = self.apply(&vec![1.0; count * columns], columns, ordinal);
        let mask = host::tensor(mask, (count, columns))?;
        values * mask.to_device(values.device())?.to_dtype(values.dtype())?
    }
}

/// Returns a number of which every bit depends on every bit of `x` (Steele et al. 2014, `SplitMix64`).
#[inline(always)]
fn mixed(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
