//! Weights in four bits on a device, read back by candle's own operations, some rows at a time.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};

use crate::compute::Compute;
use crate::nf4::{Nf4Absmax, Nf4Matrix};

/// Values of a scale of its own, and scales that share one.
const BLOCK: usize = 64;
const NESTED_BLOCK: usize = 256;

/// Values that exist in `f32` at once.
const TILE: usize = 1 << 24;

/// A matrix (rows, columns) in four bits; columns are whole blocks.
#[derive(Debug)]
pub(crate) struct DeviceNf4 {
    /// Codes, two in a byte: (rows · columns / 2).
    packed: Tensor,
    absmax: Absmax,
    /// The two numbers a byte stands for: (256, 2), `f32`.
    pairs: Tensor,
    rows: usize,
    columns: usize,
    dtype: DType,
    byte_count: usize,
}

/// Scales of blocks.
#[derive(Debug)]
enum Absmax {
    /// (blocks), `f32`.
    Plain(Tensor),
    Nested {
        /// (blocks), `u8`.
        codes: Tensor,
        /// (blocks), `f32`: one for every 256, each as often as it is needed, would take as much as plain
        /// ones; so one each: (blocks / 256).
        absmax: Tensor,
        /// What a code stands for: (256), `f32`.
        table: Tensor,
        offset: f64,
    },
}

impl DeviceNf4 {
    /// Copies a matrix to the device.
    pub(crate) fn new(matrix: &Nf4Matrix, compute: &Compute) -> candle_core::Result<Self> {
        let device = &compute.device;
        let code = Nf4Matrix::code();
        let pairs: Vec<f32> = (0..=u8::MAX)
            .flat_map(|byte| [code[usize::from(byte >> 4)], code[usize::from(byte & 15)]])
            .collect();
        let absmax = match matrix.absmax() {
            Nf4Absmax::Plain(absmax) => Absmax::Plain(one(absmax.clone(), device)?),
            Nf4Absmax::Nested {
                codes,
                absmax,
                offset,
            } => Absmax::Nested {
                codes: one(codes.clone(), device)?,
                absmax: one(absmax.clone(), device)?,
                table: one((0..=u8::MAX).map(Nf4Absmax::code).collect(), device)?,
                offset: f64::from(*offset),
            },
        };
        Ok(Self {
            packed: one(matrix.packed().to_vec(), device)?,
            absmax,
            pairs: one(pairs, device)?.reshape((256, 2))?,
            rows: matrix.rows(),
            columns: matrix.columns(),
            dtype: compute.dtype,
            byte_count: matrix.byte_count(),
        })
    }

    /// Computes `input` · Wᵀ.
    pub(crate) fn apply(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        let tiles: Vec<Tensor> = self
            .tiles()
            .map(|rows| input.matmul(&self.dequantise(rows)?.t()?))
            .collect::<candle_core::Result<_>>()?;
        match &tiles[..] {
            [whole] => Ok(whole.clone()),
            tiles => Tensor::cat(tiles, 1),
        }
    }

    /// Computes `upstream` · W.
    pub(crate) fn apply_back(&self, upstream: &Tensor) -> candle_core::Result<Tensor> {
        let mut sum: Option<Tensor> = None;
        for rows in self.tiles() {
            let part = upstream.narrow(1, rows.start, rows.len())?.contiguous()?;
            let product = part.matmul(&self.dequantise(rows)?)?;
            sum = Some(match sum {
                Some(sum) => (sum + product)?,
                None => product,
            });
        }
        sum.ok_or_else(|| candle_core::Error::Msg("a weight without rows".to_owned()))
    }

    /// Returns the bytes of codes and scales.
    pub(crate) fn byte_count(&self) -> usize {
        self.byte_count
    }

    fn tiles(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        // Columns are whole blocks, so these are whole nested blocks: their scales are never split.
        let at_once = (TILE / self.columns)
            .next_multiple_of(NESTED_BLOCK)
            .max(NESTED_BLOCK);
        let rows = self.rows;
        (0..rows)
            .step_by(at_once)
            .map(move |start| start..(start + at_once).min(rows))
    }

    /// Reads rows back; (rows, columns) in the format computed in.
    fn dequantise(&self, rows: Range<usize>) -> candle_core::Result<Tensor> {
        let values = rows.len() * self.columns;
        let first = rows.start * self.columns;
        let packed = self.packed.narrow(0, first / 2, values / 2)?;
        let (first_block, blocks) = (first / BLOCK, values / BLOCK);
        let absmax = match &self.absmax {
            Absmax::Plain(absmax) => absmax.narrow(0, first_block, blocks)?,
            Absmax::Nested {
                codes,
                absmax,
                table,
                offset,
            } => {
                let values =
                    table.index_select(&wide(&codes.narrow(0, first_block, blocks)?)?, 0)?;
                let (first_nested, nested) =
                    (first_block / NESTED_BLOCK, blocks.div_ceil(NESTED_BLOCK));
                let scales = absmax.narrow(0, first_nested, nested)?.unsqueeze(1)?;
                let scales = scales.broadcast_as((nested, NESTED_BLOCK))?.contiguous()?;
                let scales = scales.flatten_all()?.narrow(0, 0, blocks)?;
                ((values * scales)? + *offset)?
            }
        };
        self.pairs
            .index_select(&wide(&packed)?, 0)?
            .reshape((blocks, BLOCK))?
            .broadcast_mul(&absmax.unsqueeze(1)?)?
            .to_dtype(self.dtype)?
            .reshape((rows.len(), self.columns))
    }
}

/// Widens bytes to numbers that candle selects by: the largest of a format stands for nothing there.
fn wide(bytes: &Tensor) -> candle_core::Result<Tensor> {
    bytes.to_dtype(DType::U32)
}

fn one<T: candle_core::WithDType>(values: Vec<T>, device: &Device) -> candle_core::Result<Tensor> {
    let count = values.len();
    Tensor::from_vec(values, count, device)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::testing::{list, random};

    #[test_case(true; "scales of scales")]
    #[test_case(false; "plain scales")]
    fn rows_are_read_back_as_on_the_host(double_quant: bool) {
        let (rows, columns) = (300, 192);
        let values = list(&random((rows, columns), 1));
        let matrix = Nf4Matrix::quantise(rows, columns, &values, double_quant).unwrap();
        let mut expected = vec![0.0; rows * columns];
        matrix.dequantise_rows(0..rows, &mut expected);
        let device = DeviceNf4::new(&matrix, &Compute::host(None)).unwrap();
        assert_eq!(list(&device.dequantise(0..rows).unwrap()), expected);
        let input = random((3, columns), 2);
        let weight = Tensor::from_vec(expected, (rows, columns), &Device::Cpu).unwrap();
        let product = device.apply(&input).unwrap();
        assert_eq!(
            list(&product),
            list(&input.matmul(&weight.t().unwrap()).unwrap())
        );
        let back = device.apply_back(&product).unwrap();
        assert_eq!(list(&back), list(&product.matmul(&weight).unwrap()));
    }
}
