//! The arithmetic of merging one weight, in PEFT's order of operations, so that its results are
//! PEFT's to the bit where its matrix product adds up in order of rank (any rank up to some hundreds).

use crate::adapter::{Adapter, Lora};
use crate::number_format::NumberFormat;

/// The low-rank change of a weight, ready to be added row by row.
pub(super) struct LowRank<'a> {
    left: Left<'a>,
    /// What the rows are combinations of: (rank, columns).
    right: Vec<f32>,
    rank: usize,
    columns: usize,
    scale: f32,
    magnitude: Option<Magnitude>,
    /// What the change is rounded to before it is added, where PEFT does so.
    rounding: Option<NumberFormat>,
}

/// What says how the rows are combined: (rows, rank), or its transpose.
struct Left<'a> {
    data: &'a [u8],
    format: NumberFormat,
    /// Rows, if the transpose is stored.
    transposed_rows: Option<usize>,
}

/// DoRA's magnitudes: of rows, or of an embedding's columns.
enum Magnitude {
    Rows(Vec<f32>),
    /// Magnitude over norm, once [`LowRank::set_column_norms`] has been told the norms.
    Columns(Vec<f32>),
}

impl<'a> LowRank<'a> {
    /// Reads what is small: all but the tensor with a row for each of the weight's. The weight will be
    /// rounded to `format`.
    pub(super) fn new(adapter: &'a Adapter, lora: &Lora, format: NumberFormat) -> Self {
        let (left, right) = if lora.is_embedding {
            (lora.a, transposed(&adapter.values(lora.b), lora.rank))
        } else {
            (lora.b, adapter.values(lora.a))
        };
        let columns = right.len() / lora.rank;
        let magnitude = lora.magnitude.map(|idx| {
            let values = adapter.values(idx);
            if lora.is_embedding {
                Magnitude::Columns(values)
            } else {
                Magnitude::Rows(values)
            }
        });
        Self {
            left: Left {
                data: adapter.data(left),
                format: adapter.format(left),
                transposed_rows: lora.is_embedding.then(|| adapter.tensor(lora.a).shape[1]),
            },
            right,
            rank: lora.rank,
            columns,
            // PyTorch multiplies a tensor by a Python number in the tensor's precision.
            #[expect(clippy::cast_possible_truncation, reason = "rounding is meant")]
            scale: lora.scale as f32,
            rounding: (lora.is_embedding && magnitude.is_none()).then_some(format),
            magnitude,
        }
    }

    /// Tells whether the norms of columns are needed before the first row can be merged.
    pub(super) fn needs_column_norms(&self) -> bool {
        matches!(self.magnitude, Some(Magnitude::Columns(_)))
    }

    /// Takes the squared norms of the changed weight's columns.
    pub(super) fn set_column_norms(&mut self, squares: &[f32]) {
        if let Some(Magnitude::Columns(factors)) = &mut self.magnitude {
            for (factor, square) in factors.iter_mut().zip(squares) {
                *factor /= square.sqrt();
            }
        }
    }

    /// Adds the scaled product to `weight`, row `row_idx`; `room` is any buffer.
    pub(super) fn add(&self, row_idx: usize, weight: &mut [f32], room: &mut Vec<f32>) {
        room.clear();
        room.resize(self.rank + self.columns, 0.0);
        let (left, product) = room.split_at_mut(self.rank);
        self.left.row(row_idx, left);
        combine(left, &self.right, product);
        if let Some(format) = self.rounding {
            for product in &mut *product {
                *product *= self.scale;
            }
            format.round(product);
            for (weight, product) in weight.iter_mut().zip(product) {
                *weight += *product;
            }
        } else {
            for (weight, product) in weight.iter_mut().zip(product) {
                *weight += *product * self.scale;
            }
        }
    }

    /// Merges row `row_idx`: adds, then gives it its magnitude.
    pub(super) fn merge(&self, row_idx: usize, weight: &mut [f32], room: &mut Vec<f32>) {
        self.add(row_idx, weight, room);
        match &self.magnitude {
            None => {}
            Some(Magnitude::Rows(magnitudes)) => {
                let factor = magnitudes[row_idx] / norm(weight);
                for weight in weight {
                    *weight *= factor;
                }
            }
            Some(Magnitude::Columns(factors)) => {
                for (weight, factor) in weight.iter_mut().zip(factors) {
                    *weight *= factor;
                }
            }
        }
    }
}

impl Left<'_> {
    fn row(&self, row_idx: usize, values: &mut [f32]) {
        if let Some(rows) = self.transposed_rows {
            for (k, value) in values.iter_mut().enumerate() {
                *value = self.format.value(self.data, k * rows + row_idx);
            }
        } else {
            let bytes = values.len() * self.format.size();
            let data = &self.data[row_idx * bytes..(row_idx + 1) * bytes];
            self.format.decode(data, values);
        }
    }
}

/// Returns the transpose of a matrix with so many columns.
fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    let row = |column| values.iter().skip(column).step_by(columns).copied();
    (0..columns).flat_map(row).collect()
}

/// Returns the Euclidean norm of a row: eight running sums, then their sum, as PyTorch has it.
fn norm(row: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    let (chunks, rest) = row.as_chunks::<8>();
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value * value;
        }
    }
    let sum = sums.into_iter().reduce(|sum, other| sum + other);
    let sum = sum.expect("there are eight");
    rest.iter()
        .fold(sum, |sum, value| sum + value * value)
        .sqrt()
}

/// Adds Σₖ left[k]·right[k, ·] to `sum`, every product and sum rounded once, in order of k.
fn combine(left: &[f32], right: &[f32], sum: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("fma") && std::arch::is_x86_feature_detected!("avx2") {
        #[expect(unsafe_code, reason = "only this reaches the instruction")]
        // SAFETY: the processor has been asked for both features.
        unsafe {
            combine_by_instruction(left, right, sum);
        }
        return;
    }
    combine_anywhere(left, right, sum);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn combine_by_instruction(left: &[f32], right: &[f32], sum: &mut [f32]) {
    combine_anywhere(left, right, sum);
}

/// The same on every machine; slow where the processor has no fused multiplication.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "it takes on the features of its caller"
)]
fn combine_anywhere(left: &[f32], right: &[f32], sum: &mut [f32]) {
    for (factor, row) in left.iter().zip(right.chunks_exact(sum.len().max(1))) {
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum = factor.mul_add(*value, *sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn transposing_twice_gives_the_same() {
        let values: Vec<f32> = (0..12u8).map(f32::from).collect();
        assert_eq!(transposed(&values, 4)[..3], [0.0, 4.0, 8.0]);
        assert_eq!(transposed(&transposed(&values, 4), 3), values);
    }

    proptest! {
        #[test]
        fn the_instruction_gives_the_same_bits(
            left in prop::collection::vec(-9.0f32..9.0, 1..9),
            columns in 1usize..40,
            seed in any::<u32>(),
        ) {
            let mut state = seed;
            let right: Vec<f32> = (0..left.len() * columns)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    f32::from_bits(0x3F80_0000 | (state >> 9)) - 1.5
                })
                .collect();
            let (mut one, mut other) = (vec![0.0; columns], vec![0.0; columns]);
            combine(&left, &right, &mut one);
            combine_anywhere(&left, &right, &mut other);
            prop_assert_eq!(one, other);
        }
    }
}
