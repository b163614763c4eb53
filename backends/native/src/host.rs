//! Tensors of the host as the slices they are.

use std::ops::{Deref, Range};

use candle_core::{Device, Shape, Storage, StorageRef, Tensor};

/// Values of a tensor that lies in the host's memory.
pub(crate) struct HostValues<'a> {
    storage: StorageRef<'a>,
    range: Range<usize>,
}

impl Deref for HostValues<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        let Storage::Cpu(storage) = &*self.storage else {
            unreachable!("looked at when made")
        };
        let values = storage.as_slice::<f32>().expect("looked at when made");
        &values[self.range.clone()]
    }
}

/// Tells whether a tensor can be looked at as a slice.
pub(crate) fn is_on_host(tensor: &Tensor) -> bool {
    tensor.device().is_cpu()
}

/// Returns a tensor's values, rows first.
///
/// Errors if it is on another device, not `f32`, or its values do not follow one another.
pub(crate) fn values(tensor: &Tensor) -> candle_core::Result<HostValues<'_>> {
    let (storage, layout) = tensor.storage_and_layout();
    let Some((start, end)) = layout.contiguous_offsets() else {
        return Err(candle_core::Error::RequiresContiguous { op: "host values" });
    };
    match &*storage {
        Storage::Cpu(storage) => {
            storage.as_slice::<f32>()?;
        }
        _ => candle_core::bail!("a tensor of the host is expected"),
    }
    Ok(HostValues {
        storage,
        range: start..end,
    })
}

/// Makes a tensor of values, without copying them.
pub(crate) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> candle_core::Result<Tensor> {
    Tensor::from_vec(values, shape.into(), &Device::Cpu)
}
