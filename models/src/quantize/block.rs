use thiserror::Error;

use crate::gguf::TensorType;

/// Says why values cannot be quantised.
#[derive(Debug, Error)]
pub enum QuantizeError {
    /// ggml's routines were left out when this was built.
    #[error(
        "this build cannot write {0}: build with the feature `embedded`, or write bf16, f16 or f32"
    )]
    NotBuilt(&'static str),
}

/// Tells whether rows can be quantised to `tensor_type` in this build.
pub(crate) fn is_available(tensor_type: TensorType) -> Result<(), QuantizeError> {
    let is_plain = matches!(
        tensor_type,
        TensorType::F32 | TensorType::F16 | TensorType::BF16
    );
    if is_plain || cfg!(feature = "ggml") {
        Ok(())
    } else {
        Err(QuantizeError::NotBuilt(tensor_type.name()))
    }
}

/// Quantises `values`, whole rows of so many columns, to `bytes`, as llama-quantize does without an
/// importance matrix.
///
/// Both slices must be exactly as long as the rows are, and a row must fill blocks; all values
/// must be finite.
#[cfg(feature = "ggml")]
pub(crate) fn quantize_rows(
    tensor_type: TensorType,
    values: &[f32],
    columns: usize,
    bytes: &mut [u8],
) -> Result<(), QuantizeError> {
    let not_built = || QuantizeError::NotBuilt(tensor_type.name());
    let row_bytes = tensor_type.row_bytes(columns as u64);
    let rows = values.len().checked_div(columns).unwrap_or(0);
    let length = row_bytes.and_then(|bytes| bytes.checked_mul(rows as u64));
    assert_eq!(values.len(), rows * columns, "the values are whole rows");
    assert_eq!(
        length,
        Some(bytes.len() as u64),
        "the bytes are what the rows need"
    );
    let count = |number: usize| i64::try_from(number).map_err(|_| not_built());
    let (row_count, column_count) = (count(rows)?, count(columns)?);
    #[expect(unsafe_code, reason = "ggml is written in C")]
    // SAFETY: the routine reads `rows * columns` floats and writes `rows` rows of `row_bytes` bytes,
    // which is what the slices have; it keeps no pointer and shares no state between threads for
    // these types, none of which needs an importance matrix.
    let written = unsafe {
        llama_cpp_sys_2::ggml_quantize_chunk(
            tensor_type.id(),
            values.as_ptr(),
            bytes.as_mut_ptr().cast(),
            0,
            row_count,
            column_count,
            std::ptr::null(),
        )
    };
    assert_eq!(written, bytes.len(), "ggml has the same block sizes");
    Ok(())
}

/// Errors: ggml's routines were left out of this build.
#[cfg(not(feature = "ggml"))]
pub(crate) fn quantize_rows(
    tensor_type: TensorType,
    _: &[f32],
    _: usize,
    _: &mut [u8],
) -> Result<(), QuantizeError> {
    Err(QuantizeError::NotBuilt(tensor_type.name()))
}
