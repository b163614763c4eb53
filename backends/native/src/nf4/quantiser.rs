use rayon::prelude::*;

use super::mean::mean;
use super::{BLOCK, NESTED_BLOCK, Nf4Absmax, Nf4Error, Nf4Matrix, code, kernel};
use crate::dynamic_code::DynamicCode;

/// What a smaller scale counts as when values are divided by it.
pub(super) const SMALLEST_SCALE: f32 = 1e-38;

/// Blocks that a thread quantises at a time.
const BLOCKS_AT_A_TIME: usize = 256;

/// Quantises a matrix that comes in pieces.
///
/// bitsandbytes widens `f16` and `bf16` to `f32` before anything else; do so with the values pushed, and
/// the bytes are the same. Reading back it rounds to the type that it quantised from.
///
/// ```
/// # use shipworthy_native::{Nf4Error, Nf4Quantiser};
/// let mut quantiser = Nf4Quantiser::new(2, 3, true);
/// quantiser.push(&[0.1, -0.4, 0.2])?;
/// quantiser.push(&[0.0, 0.4, 0.3])?;
/// let matrix = quantiser.finish()?;
/// let mut row = [0.0; 3];
/// matrix.dequantise_rows(1..2, &mut row);
/// assert_eq!(row[1], 0.4);
/// # Ok::<(), Nf4Error>(())
/// ```
#[derive(Debug)]
pub struct Nf4Quantiser {
    rows: usize,
    columns: usize,
    double_quant: bool,
    packed: Vec<u8>,
    absmax: Vec<f32>,
    /// Values of a block that is not full yet.
    pending: Vec<f32>,
    taken: usize,
}

impl Nf4Quantiser {
    /// Makes ready for the values of a matrix; with `double_quant` its scales are quantised too.
    ///
    /// Memory grows with the values that come, not with what is said of them here.
    pub fn new(rows: usize, columns: usize, double_quant: bool) -> Self {
        Self {
            rows,
            columns,
            double_quant,
            packed: Vec::new(),
            absmax: Vec::new(),
            pending: Vec::with_capacity(BLOCK),
            taken: 0,
        }
    }

    /// Takes the next values, any number of them; rows follow one another.
    ///
    /// Errors if one is not finite, with its place, or if they are more than the matrix has.
    pub fn push(&mut self, values: &[f32]) -> Result<(), Nf4Error> {
        if values.len() > self.total().saturating_sub(self.taken) {
            return Err(self.wrong_count(self.taken.saturating_add(values.len())));
        }
        let mut values = values;
        if !self.pending.is_empty() {
            let missing = (BLOCK - self.pending.len()).min(values.len());
            let (first, others) = values.split_at(missing);
            self.check(first, first.iter().all(|value| value.is_finite()))?;
            self.pending.extend(first);
            self.taken += first.len();
            if self.pending.len() < BLOCK {
                return Ok(());
            }
            let block = std::mem::take(&mut self.pending);
            self.append(&block);
            values = others;
        }
        let (whole, rest) = values.split_at(values.len() / BLOCK * BLOCK);
        if !whole.is_empty() {
            let finite = self.append(whole);
            self.check(whole, finite)?;
            self.taken += whole.len();
        }
        self.check(rest, rest.iter().all(|value| value.is_finite()))?;
        self.pending.clear();
        self.pending.extend(rest);
        self.taken += rest.len();
        Ok(())
    }

    /// Returns the matrix; errors if values are missing.
    pub fn finish(mut self) -> Result<Nf4Matrix, Nf4Error> {
        if self.taken != self.total() {
            return Err(self.wrong_count(self.taken));
        }
        self.append_last();
        let absmax = if self.double_quant {
            nest(self.absmax)
        } else {
            Nf4Absmax::Plain(self.absmax)
        };
        Ok(Nf4Matrix {
            rows: self.rows,
            columns: self.columns,
            packed: self.packed,
            absmax,
        })
    }

    fn total(&self) -> usize {
        self.rows.saturating_mul(self.columns)
    }

    fn wrong_count(&self, found: usize) -> Nf4Error {
        Nf4Error::Count {
            rows: self.rows,
            columns: self.columns,
            found,
        }
    }

    /// Errors for the first of the next values that is not finite.
    fn check(&self, values: &[f32], finite: bool) -> Result<(), Nf4Error> {
        if finite {
            return Ok(());
        }
        let idx = values.iter().position(|value| !value.is_finite());
        let idx = idx.expect("one was found not to be finite");
        Err(Nf4Error::NotFinite {
            row: (self.taken + idx) / self.columns,
            column: (self.taken + idx) % self.columns,
            value: values[idx],
        })
    }

    /// Quantises whole blocks, and tells whether all values were finite.
    fn append(&mut self, values: &[f32]) -> bool {
        let (bytes, blocks) = (self.packed.len(), self.absmax.len());
        if blocks == 0 {
            // The usual case is one piece, or pieces of a matrix that memory is there for.
            let share = self.total().min(values.len().saturating_mul(4));
            self.packed.reserve(share.div_ceil(2));
            self.absmax.reserve(share.div_ceil(BLOCK));
        }
        self.packed.resize(bytes + values.len() / 2, 0);
        self.absmax.resize(blocks + values.len() / BLOCK, 0.0);
        values
            .par_chunks(BLOCKS_AT_A_TIME * BLOCK)
            .zip(self.packed[bytes..].par_chunks_mut(BLOCKS_AT_A_TIME * BLOCK / 2))
            .zip(self.absmax[blocks..].par_chunks_mut(BLOCKS_AT_A_TIME))
            .map(|((values, packed), absmax)| kernel::quantise(values, packed, absmax))
            .reduce(|| true, |one, other| one && other)
    }

    /// Quantises what is left over after whole blocks.
    ///
    /// bitsandbytes divides here where it multiplies by the inverse elsewhere, and keeps a scale that is
    /// never 0; a last half byte gets the code of 0.
    fn append_last(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let largest = self
            .pending
            .iter()
            .fold(0.0f32, |largest, value| largest.max(value.abs()));
        let largest = largest.max(SMALLEST_SCALE);
        self.absmax.push(largest);
        for pair in self.pending.chunks(2) {
            let shares = [pair[0] / largest, pair.get(1).unwrap_or(&0.0) / largest];
            let [first, second] = shares.map(code::nearest);
            self.packed.push(first << 4 | second);
        }
    }
}

/// Quantises scales: their distances from their mean, in blocks of 256.
fn nest(scales: Vec<f32>) -> Nf4Absmax {
    let offset = if scales.is_empty() {
        0.0
    } else {
        mean(&scales)
    };
    let mut scales = scales;
    for scale in &mut scales {
        *scale -= offset;
    }
    let mut codes = vec![0; scales.len()];
    let code = DynamicCode::signed();
    let blocks = scales
        .par_chunks(NESTED_BLOCK)
        .zip(codes.par_chunks_mut(NESTED_BLOCK));
    let absmax = blocks
        .map(|(scales, codes)| code.encode(scales, codes))
        .collect();
    Nf4Absmax::Nested {
        codes,
        absmax,
        offset,
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(&[1]; "value by value")]
    #[test_case(&[63, 1, 2]; "around a block")]
    #[test_case(&[100, 64, 128, 27]; "blocks and pieces")]
    fn pieces_give_what_the_whole_gives(lengths: &[usize]) {
        let values: Vec<f32> = (0..37 * 29)
            .map(|idx| ((idx * 53) % 97) as f32 - 48.0)
            .collect();
        let whole = Nf4Matrix::quantise(37, 29, &values, true).unwrap();
        let mut quantiser = Nf4Quantiser::new(37, 29, true);
        let mut rest = &values[..];
        for &length in lengths.iter().cycle() {
            let (piece, others) = rest.split_at(length.min(rest.len()));
            quantiser.push(piece).unwrap();
            rest = others;
            if rest.is_empty() {
                break;
            }
        }
        assert_eq!(quantiser.finish().unwrap(), whole);
    }

    #[test_case(0, f32::NAN)]
    #[test_case(130, f32::INFINITY)]
    #[test_case(199, f32::NEG_INFINITY)]
    fn a_value_that_is_not_finite_is_named(place: usize, value: f32) {
        let mut values = vec![0.25; 200];
        values[place] = value;
        for piece in [200, 100, 7] {
            let mut quantiser = Nf4Quantiser::new(10, 20, false);
            let error = values
                .chunks(piece)
                .find_map(|piece| quantiser.push(piece).err())
                .unwrap();
            let Nf4Error::NotFinite { row, column, .. } = error else {
                panic!("{error}")
            };
            assert_eq!((row, column), (place / 20, place % 20));
        }
    }

    #[test]
    fn a_wrong_number_of_values_is_an_error() {
        let error = Nf4Matrix::quantise(3, 5, &[0.0; 14], false).unwrap_err();
        assert_eq!(
            error,
            Nf4Error::Count {
                rows: 3,
                columns: 5,
                found: 14
            }
        );
        let error = Nf4Matrix::quantise(3, 5, &[0.0; 16], false).unwrap_err();
        assert_eq!(
            error,
            Nf4Error::Count {
                rows: 3,
                columns: 5,
                found: 16
            }
        );
        assert!(Nf4Matrix::quantise(0, 5, &[], true).is_ok());
    }
}
