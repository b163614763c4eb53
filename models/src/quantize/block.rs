use thiserror::Error;

#[cfg(feature = "ggml")]
use super::search::Search;
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
    let Some(search) = Search::of(tensor_type) else {
        return quantize_with_ggml(tensor_type, values, columns, bytes);
    };
    let size = usize::try_from(tensor_type.block_size()).unwrap_or(usize::MAX);
    let block_bytes = usize::try_from(tensor_type.block_bytes()).unwrap_or(usize::MAX);
    let blocks = values.chunks_exact(size);
    for (values, bytes) in blocks.zip(bytes.chunks_exact_mut(block_bytes)) {
        if !search.quantize(values, bytes) {
            quantize_with_ggml(tensor_type, values, size, bytes)?;
        }
    }
    Ok(())
}

/// Quantises whole rows with ggml's own routine.
#[cfg(feature = "ggml")]
fn quantize_with_ggml(
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

#[cfg(test)]
#[cfg(feature = "ggml")]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    fn both(tensor_type: TensorType, values: &[f32]) -> (Vec<u8>, Vec<u8>) {
        let length = tensor_type.row_bytes(values.len() as u64).unwrap();
        let length = usize::try_from(length).unwrap();
        let (mut ours, mut ggmls) = (vec![0xAA; length], vec![0xAA; length]);
        quantize_rows(tensor_type, values, values.len(), &mut ours).unwrap();
        quantize_with_ggml(tensor_type, values, values.len(), &mut ggmls).unwrap();
        (ours, ggmls)
    }

    /// Numbers that look like weights, some blocks with runs that do not.
    fn weights(seed: u64, count: usize) -> Vec<f32> {
        let mut state = seed;
        let mut next = move || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        };
        #[expect(clippy::cast_precision_loss, reason = "any number will do")]
        let mut uniform = move || (next() >> 40) as f32 / 16_777_216.0 * 2.0 - 1.0;
        (0..count)
            .map(|idx| {
                let normal = uniform() + uniform() + uniform();
                match idx / 32 % 11 {
                    3 => normal.abs() + 0.1,
                    5 => -normal.abs(),
                    7 => normal * 1e-3,
                    9 if idx % 16 != 0 => 0.0,
                    10 => normal.powi(5) * 40.0,
                    _ => normal * 0.02,
                }
            })
            .collect()
    }

    #[test_case(TensorType::Q4_K)]
    #[test_case(TensorType::Q5_K)]
    #[test_case(TensorType::Q6_K)]
    fn blocks_are_ggmls_to_the_byte(tensor_type: TensorType) {
        for seed in 0..64 {
            let values = weights(seed, 256 * 64);
            let (ours, ggmls) = both(tensor_type, &values);
            assert!(ours == ggmls, "seed {seed}");
        }
    }

    /// Most blocks must not need ggml, or the comparison above would say nothing.
    #[test]
    fn blocks_of_weights_are_searched_here() {
        let values: Vec<f32> = weights(1, 256 * 352)
            .chunks(32)
            .step_by(11)
            .flatten()
            .copied()
            .collect();
        for block in values.chunks_exact(256) {
            for (tensor_type, bytes) in [(TensorType::Q4_K, 144), (TensorType::Q6_K, 210)] {
                let search = Search::of(tensor_type).unwrap();
                assert!(search.quantize(block, &mut vec![0; bytes]));
            }
        }
    }

    proptest! {
        #[test]
        fn any_block_is_ggmls(
            bits in prop::collection::vec(any::<u16>(), 256),
            tensor_type in prop::sample::select(vec![TensorType::Q4_K, TensorType::Q5_K, TensorType::Q6_K]),
        ) {
            // bfloat16 of a sensible size, as checkpoints have them, zeros among them.
            let values: Vec<f32> = bits
                .iter()
                .map(|&bits| f32::from_bits(u32::from(bits) << 16))
                .map(|value| if value.abs() < 1e4 && value.abs() > 1e-8 { value } else { 0.0 })
                .collect();
            let (ours, ggmls) = both(tensor_type, &values);
            prop_assert_eq!(ours, ggmls);
        }
    }
}
