//! Weights that stay as they are: read where they lie, one tile at a time.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use shipworthy_models::{Checkpoint, NumberFormat, TensorView};

use super::device_nf4::DeviceNf4;
use crate::compute::Compute;
use crate::error::NativeError;
use crate::matrix::{Existing, Matrix, MatrixMut, Threads, multiply};
use crate::nf4::{Nf4Matrix, Nf4Quantiser};

/// Values of a weight that exist in `f32` at once, where it is kept otherwise.
pub(crate) const TILE: usize = 1 << 20;

/// A matrix (outputs, inputs) that is not trained.
#[derive(Debug)]
pub(crate) enum FrozenWeight {
    /// As it lies in a mapped file.
    Mapped(MappedMatrix),
    /// In four bits, in the host's memory.
    Nf4(Nf4Matrix),
    /// On a device, in the format computed in.
    Dense(Tensor),
    /// In four bits, on a device.
    DeviceNf4(DeviceNf4),
}

/// A matrix in a mapped file.
#[derive(Debug)]
pub(crate) struct MappedMatrix {
    checkpoint: Arc<Checkpoint>,
    name: String,
}

impl MappedMatrix {
    fn view(&self) -> TensorView<'_> {
        self.checkpoint
            .view(&self.name)
            .expect("looked at when loaded")
    }
}

impl FrozenWeight {
    /// Takes a tensor of shape (rows, columns) from a checkpoint; in four bits where `quantises`.
    pub(crate) fn load(
        checkpoint: &Arc<Checkpoint>,
        name: &str,
        shape: [usize; 2],
        compute: &Compute,
        quantises: bool,
    ) -> Result<Self, NativeError> {
        let view = checkpoint.view(name)?;
        view.expect_shape(&shape)?;
        let quantisation = compute.quantisation.filter(|_| quantises);
        if let Some(options) = quantisation {
            let matrix = quantise(&view, shape, options.double_quant)?;
            view.release();
            if compute.is_host() {
                return Ok(Self::Nf4(matrix));
            }
            // Rows that are not whole blocks are the exception that is not worth a path of its own.
            if shape[1].is_multiple_of(64) {
                return Ok(Self::DeviceNf4(DeviceNf4::new(&matrix, compute)?));
            }
            let mut values = vec![0.0; shape[0] * shape[1]];
            matrix.dequantise_rows(0..shape[0], &mut values);
            return Ok(Self::Dense(on_device(values, shape, compute)?));
        }
        if compute.is_host() {
            return Self::mapped(checkpoint, name, shape);
        }
        let values = view.values()?;
        view.release();
        Ok(Self::Dense(on_device(values, shape, compute)?))
    }

    /// Leaves a tensor of shape (rows, columns) in the checkpoint's file, to be read there.
    pub(crate) fn mapped(
        checkpoint: &Arc<Checkpoint>,
        name: &str,
        shape: [usize; 2],
    ) -> Result<Self, NativeError> {
        let view = checkpoint.view(name)?;
        view.expect_shape(&shape)?;
        check_finite(&view)?;
        view.release();
        Ok(Self::Mapped(MappedMatrix {
            checkpoint: Arc::clone(checkpoint),
            name: name.to_owned(),
        }))
    }

    /// Makes `output` `input` · Wᵀ, or adds it: (tokens, inputs) to (tokens, outputs), both in the host's
    /// memory.
    pub(crate) fn apply_on_host(
        &self,
        input: &[f32],
        output: &mut [f32],
        [rows, columns]: [usize; 2],
        existing: Existing,
    ) {
        let tokens = input.len() / columns;
        let input = Matrix::new(input, tokens, columns);
        self.tiles([rows, columns], |range, tile| {
            let weight = Matrix::new(tile, range.len(), columns);
            multiply(
                MatrixMut::new(output, tokens, rows).columns(range),
                input,
                weight.transposed(),
                1.0,
                existing,
                Threads::All,
            );
        });
    }

    /// Makes `gradient` `upstream` · W: (tokens, outputs) to (tokens, inputs), both in the host's memory.
    pub(crate) fn apply_back_on_host(
        &self,
        upstream: &[f32],
        gradient: &mut [f32],
        [rows, columns]: [usize; 2],
    ) {
        let tokens = upstream.len() / rows;
        self.tiles([rows, columns], |range, tile| {
            let upstream = Matrix::strided(&upstream[range.start..], tokens, range.len(), rows);
            multiply(
                MatrixMut::new(gradient, tokens, columns),
                upstream,
                Matrix::new(tile, range.len(), columns),
                1.0,
                if range.start == 0 {
                    Existing::Replaced
                } else {
                    Existing::Added
                },
                Threads::All,
            );
        });
    }

    /// Gives all rows, some at a time, in `f32`.
    fn tiles(&self, [rows, columns]: [usize; 2], mut use_tile: impl FnMut(Range<usize>, &[f32])) {
        if let Self::Mapped(matrix) = self {
            let view = matrix.view();
            if let Some(values) = as_values(&view) {
                return use_tile(0..rows, values);
            }
        }
        let at_once = (TILE / columns.max(1)).clamp(1, rows.max(1));
        let mut tile = vec![0.0; at_once * columns];
        for start in (0..rows).step_by(at_once) {
            let range = start..(start + at_once).min(rows);
            let tile = &mut tile[..range.len() * columns];
            self.read_rows(range.clone(), columns, tile);
            use_tile(range, tile);
        }
    }

    /// Widens some rows to `f32`; a weight on a device has none here.
    pub(crate) fn read_rows(&self, range: Range<usize>, columns: usize, values: &mut [f32]) {
        match self {
            Self::Nf4(matrix) => matrix.dequantise_rows(range, values),
            Self::Mapped(matrix) => {
                let view = matrix.view();
                let first = range.start * columns;
                let pieces = values.par_chunks_mut(1 << 15).enumerate();
                pieces.for_each(|(idx, piece)| {
                    let start = first + (idx << 15);
                    view.read(start..start + piece.len(), piece);
                });
            }
            Self::Dense(_) | Self::DeviceNf4(_) => {
                unreachable!("weights on a device are computed with there")
            }
        }
    }

    /// Computes `input` · Wᵀ on a device.
    pub(crate) fn apply(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Dense(weight) => input.matmul(&weight.t()?),
            Self::DeviceNf4(weight) => weight.apply(input),
            Self::Mapped(_) | Self::Nf4(_) => {
                candle_core::bail!("the weight is in the host's memory")
            }
        }
    }

    /// Computes `upstream` · W on a device.
    pub(crate) fn apply_back(&self, upstream: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Dense(weight) => upstream.matmul(weight),
            Self::DeviceNf4(weight) => weight.apply_back(upstream),
            Self::Mapped(_) | Self::Nf4(_) => {
                candle_core::bail!("the weight is in the host's memory")
            }
        }
    }

    /// Returns the bytes it takes, those of mapped files apart.
    pub(crate) fn byte_count(&self) -> usize {
        match self {
            Self::Mapped(_) => 0,
            Self::Nf4(matrix) => matrix.byte_count(),
            Self::Dense(weight) => weight.elem_count() * weight.dtype().size_in_bytes(),
            Self::DeviceNf4(weight) => weight.byte_count(),
        }
    }
}

fn on_device(
    values: Vec<f32>,
    shape: [usize; 2],
    compute: &Compute,
) -> candle_core::Result<Tensor> {
    Tensor::from_vec(values, (shape[0], shape[1]), &Device::Cpu)?
        .to_dtype(compute.dtype)?
        .to_device(&compute.device)
}

/// Returns a mapped tensor's values where nothing needs to be widened.
fn as_values<'a>(view: &TensorView<'a>) -> Option<&'a [f32]> {
    let is_plain = view.format() == NumberFormat::F32 && cfg!(target_endian = "little");
    is_plain.then(|| bytemuck::try_cast_slice(view.bytes()).ok())?
}

fn quantise(
    view: &TensorView<'_>,
    [rows, columns]: [usize; 2],
    double_quant: bool,
) -> Result<Nf4Matrix, NativeError> {
    let mut quantiser = Nf4Quantiser::new(rows, columns, double_quant);
    let failed = |source| NativeError::Nf4 {
        tensor: view.name().to_owned(),
        source,
    };
    let count = rows * columns;
    let mut tile = vec![0.0; TILE.min(count)];
    for start in (0..count).step_by(TILE) {
        let end = (start + TILE).min(count);
        let tile = &mut tile[..end - start];
        view.read(start..end, tile);
        quantiser.push(tile).map_err(failed)?;
    }
    quantiser.finish().map_err(failed)
}

fn check_finite(view: &TensorView<'_>) -> Result<(), NativeError> {
    let count = view.element_count();
    let pieces: Vec<usize> = (0..count).step_by(1 << 16).collect();
    let finite = pieces.par_iter().all(|&start| {
        let end = (start + (1 << 16)).min(count);
        let mut values = vec![0.0; end - start];
        view.read(start..end, &mut values);
        // No early end, so that the compiler makes vectors of it.
        values
            .iter()
            .fold(true, |finite, value| finite & value.is_finite())
    });
    if finite {
        Ok(())
    } else {
        Err(view.not_finite().into())
    }
}
