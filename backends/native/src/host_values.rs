use candle_core::{Storage, Tensor};

use crate::error::NativeError;

/// Calls `work` with a tensor's `f32` values, row after row.
///
/// They are read where they lie if they lie so in the host's memory, and are copied there otherwise.
pub(crate) fn with_host_values<R>(
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

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn views_and_transposed_tensors_are_read_in_their_own_order() {
        let tensor = Tensor::new(&[[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]], &Device::Cpu).unwrap();
        let read = |tensor: &Tensor| with_host_values(tensor, <[f32]>::to_vec).unwrap();
        assert_eq!(read(&tensor), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(read(&tensor.get(1).unwrap()), [4.0, 5.0, 6.0]);
        assert_eq!(read(&tensor.t().unwrap()), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
