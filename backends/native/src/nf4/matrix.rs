use std::ops::Range;

use rayon::prelude::*;

use super::code::VALUES;
use super::{BLOCK, NESTED_BLOCK, Nf4Error, Nf4Quantiser, kernel};
use crate::dynamic_code::DynamicCode;

/// Blocks that a thread reads back at a time.
const BLOCKS_AT_A_TIME: usize = 256;

/// A matrix of 4 bits a value, and a scale for 64 of them.
///
/// With nested scales a value takes 4.127 bits, without 4.5.
#[derive(Clone, Debug, PartialEq)]
pub struct Nf4Matrix {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) packed: Vec<u8>,
    pub(super) absmax: Nf4Absmax,
}

/// The scales of a matrix's blocks: the largest magnitude in each.
#[derive(Clone, Debug, PartialEq)]
pub enum Nf4Absmax {
    /// As they are.
    Plain(Vec<f32>),
    /// Quantised again: a block's scale is `code × scale + offset`, the scale that of 256 blocks.
    Nested {
        /// A byte of the dynamic 8-bit code for each block.
        codes: Vec<u8>,
        /// The largest distance from the offset, for every 256 blocks.
        absmax: Vec<f32>,
        /// The mean of the blocks' scales.
        offset: f32,
    },
}

impl Nf4Absmax {
    /// Returns the number that a byte of nested scales stands for, before its scale and the offset.
    ///
    /// 256 of them: what code elsewhere than on this processor needs to read scales.
    pub fn code(byte: u8) -> f32 {
        DynamicCode::signed().value(byte)
    }

    /// Returns the scale of a block.
    #[inline]
    fn get(&self, code: &DynamicCode, block: usize) -> f32 {
        match self {
            Self::Plain(absmax) => absmax[block],
            Self::Nested {
                codes,
                absmax,
                offset,
            } => code.value(codes[block]) * absmax[block / NESTED_BLOCK] + offset,
        }
    }
}

impl Nf4Matrix {
    /// Quantises a matrix that is in memory; [`Nf4Quantiser`] takes it piece by piece.
    ///
    /// `values`: `(rows, columns)`, row after row. Errors if one is not finite, or if there are more
    /// or fewer.
    pub fn quantise(
        rows: usize,
        columns: usize,
        values: &[f32],
        double_quant: bool,
    ) -> Result<Self, Nf4Error> {
        let mut quantiser = Nf4Quantiser::new(rows, columns, double_quant);
        quantiser.push(values)?;
        quantiser.finish()
    }

    /// Returns the 16 numbers that 4 bits stand for, as shares of their block's scale.
    pub fn code() -> [f32; 16] {
        VALUES
    }

    /// Returns how many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns how many columns there are.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Returns the values' codes, two in a byte, the first of them in its upper bits.
    ///
    /// Rows follow one another without a gap, be it within a byte.
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// Returns the scales of the blocks of 64 values.
    pub fn absmax(&self) -> &Nf4Absmax {
        &self.absmax
    }

    /// Returns how many bytes of memory codes and scales take.
    pub fn byte_count(&self) -> usize {
        let absmax = match &self.absmax {
            Nf4Absmax::Plain(absmax) => size_of_val(&absmax[..]),
            Nf4Absmax::Nested {
                codes,
                absmax,
                offset,
            } => codes.len() + size_of_val(&absmax[..]) + size_of_val(offset),
        };
        self.packed.len() + absmax
    }

    /// Reads rows back into `values`, `(range.len(), columns)`.
    ///
    /// Whole rows of a multiple of 64 values are fast; others cost a few values more at either end.
    /// Panics if the rows are not all there, or if `values` has another length.
    pub fn dequantise_rows(&self, range: Range<usize>, values: &mut [f32]) {
        assert!(
            range.start <= range.end && range.end <= self.rows,
            "rows {range:?} of {}",
            self.rows
        );
        assert_eq!(
            values.len(),
            range.len() * self.columns,
            "values of rows {range:?}"
        );
        let start = range.start * self.columns;
        // Up to the next block, whole blocks, and the rest.
        let before = (start.next_multiple_of(BLOCK) - start).min(values.len());
        let (head, values) = values.split_at_mut(before);
        let (whole, tail) = values.split_at_mut(values.len() / BLOCK * BLOCK);
        self.dequantise_within_a_block(start, head);
        let first_block = start.div_ceil(BLOCK);
        let last_block = first_block + whole.len() / BLOCK;
        whole
            .par_chunks_mut(BLOCKS_AT_A_TIME * BLOCK)
            .enumerate()
            .for_each(|(idx, values)| {
                self.dequantise_blocks(first_block + idx * BLOCKS_AT_A_TIME, values);
            });
        self.dequantise_within_a_block(last_block * BLOCK, tail);
    }

    /// Reads at most `BLOCKS_AT_A_TIME` whole blocks.
    fn dequantise_blocks(&self, first: usize, values: &mut [f32]) {
        let count = values.len() / BLOCK;
        let code = DynamicCode::signed();
        let mut scales = [0.0; BLOCKS_AT_A_TIME];
        for (idx, scale) in scales[..count].iter_mut().enumerate() {
            *scale = self.absmax.get(code, first + idx);
        }
        let packed = &self.packed[first * BLOCK / 2..][..count * BLOCK / 2];
        kernel::dequantise(packed, &scales[..count], values);
    }

    /// Reads values of a single block, which may begin and end anywhere in it.
    fn dequantise_within_a_block(&self, start: usize, values: &mut [f32]) {
        if values.is_empty() {
            return;
        }
        let scale = self.absmax.get(DynamicCode::signed(), start / BLOCK);
        for (idx, value) in (start..).zip(values) {
            let byte = self.packed[idx / 2];
            let code = if idx % 2 == 0 { byte >> 4 } else { byte & 15 };
            *value = VALUES[usize::from(code)] * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_rows_are_read_as_they_stand_in_the_whole(
            rows in 1usize..40,
            columns in 1usize..200,
            double_quant: bool,
            bounds in (0.0..=1.0, 0.0..=1.0),
        ) {
            let values: Vec<f32> = (0..rows * columns)
                .map(|idx| (idx * 7919 % 1009) as f32 / 504.0 - 1.0)
                .collect();
            let matrix = Nf4Matrix::quantise(rows, columns, &values, double_quant).unwrap();
            let mut all = vec![0.0; values.len()];
            matrix.dequantise_rows(0..rows, &mut all);
            // The widest interval is from -1 to -0.696; nested scales are a little off.
            for (value, read) in values.iter().zip(&all) {
                prop_assert!((value - read).abs() < 0.16, "{} {}", value, read);
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 40")]
            let row = |share: f64| (share * rows as f64) as usize;
            let (one, other): (f64, f64) = bounds;
            let range = row(one.min(other))..row(one.max(other));
            let mut read = vec![0.0; range.len() * columns];
            matrix.dequantise_rows(range.clone(), &mut read);
            prop_assert_eq!(&read, &all[range.start * columns..range.end * columns]);
        }
    }

    #[test]
    fn nested_scales_take_4_127_bits_a_value() {
        let values = vec![0.5; 512 * 1024];
        let nested = Nf4Matrix::quantise(512, 1024, &values, true).unwrap();
        let bits = nested.byte_count() as f64 * 8.0 / values.len() as f64;
        assert!((bits - 4.127).abs() < 0.001, "{bits}");
        let plain = Nf4Matrix::quantise(512, 1024, &values, false).unwrap();
        assert_eq!(plain.byte_count() * 16, values.len() * 9);
    }
}
