//! Tensors of the host as the slices they are.

use std::ops::{Deref, Range};
use std::sync::Mutex;

use candle_core::{
    CpuStorage, DType, Device, InplaceOp1, Layout, Shape, Storage, StorageRef, Tensor,
};

use crate::error::NativeError;

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

/// Tells whether a tensor can be looked at as a slice of `f32`.
pub(crate) fn is_on_host(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && tensor.dtype() == DType::F32
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

/// Calls `work` with a tensor's `f32` values, row after row.
///
/// They are read where they lie if they lie so in the host's memory, and are copied there otherwise.
pub(crate) fn with_values<R>(
    tensor: &Tensor,
    work: impl FnOnce(&[f32]) -> R,
) -> Result<R, NativeError> {
    {
        let (storage, layout) = tensor.storage_and_layout();
        if let (Storage::Cpu(storage), Some((start, end))) =
            (&*storage, layout.contiguous_offsets())
        {
            return Ok(work(&storage.as_slice::<f32>()?[start..end]));
        }
    }
    Ok(work(&tensor.flatten_all()?.to_vec1::<f32>()?))
}

/// Makes a tensor of values, without copying them.
pub(crate) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> candle_core::Result<Tensor> {
    Tensor::from_vec(values, shape.into(), &Device::Cpu)
}

/// Changes a tensor's values where they lie.
///
/// Errors as [`values`] does, and if the tensor has too many owners to be changed.
pub(crate) fn change(
    tensor: &Tensor,
    change: impl FnOnce(&mut [f32]) + Send,
) -> candle_core::Result<()> {
    tensor.inplace_op1(&Change(Mutex::new(Some(change))))
}

struct Change<F>(Mutex<Option<F>>);

impl<F: FnOnce(&mut [f32]) + Send> InplaceOp1 for Change<F> {
    fn name(&self) -> &'static str {
        "change of the host's values"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            return Err(candle_core::Error::RequiresContiguous { op: self.name() });
        };
        let CpuStorage::F32(values) = storage else {
            candle_core::bail!("a tensor of f32 is expected");
        };
        let change = self.0.lock().ok().and_then(|mut change| change.take());
        let change = change.expect("candle calls it once");
        change(&mut values[start..end]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn views_and_transposed_tensors_are_read_in_their_own_order() {
        let tensor = Tensor::new(&[[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]], &Device::Cpu).unwrap();
        let read = |tensor: &Tensor| with_values(tensor, <[f32]>::to_vec).unwrap();
        assert_eq!(read(&tensor), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(read(&tensor.get(1).unwrap()), [4.0, 5.0, 6.0]);
        assert_eq!(read(&tensor.t().unwrap()), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
