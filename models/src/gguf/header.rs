//! What a header says, checked alike when it is read and when it is written.

use super::encoding::{write_string, write_value};
use super::error::GgufProblem;
use super::key_values::KeyValues;
use super::tensor::TensorDescription;
use super::value::Value;
use super::{DIMENSIONS_LIMIT, MAGIC, NAME_LIMIT, VERSION};

/// Returns the bytes to a multiple of which tensors begin.
pub(super) fn alignment(value: &Value) -> Result<u32, GgufProblem> {
    match *value {
        Value::U32(alignment) if alignment.is_power_of_two() => Ok(alignment),
        Value::U32(other) => Err(GgufProblem::Alignment(other.to_string())),
        ref other => Err(GgufProblem::Alignment(other.value_type().name().to_owned())),
    }
}

/// Returns the bytes of a tensor that can be.
pub(super) fn check(tensor: &TensorDescription) -> Result<u64, GgufProblem> {
    let TensorDescription {
        name,
        dimensions,
        tensor_type,
    } = tensor;
    if name.is_empty() {
        return Err(GgufProblem::Unnamed);
    }
    if name.len() as u64 > NAME_LIMIT {
        return Err(GgufProblem::Name {
            length: name.len() as u64,
            limit: NAME_LIMIT,
        });
    }
    if dimensions.len() > DIMENSIONS_LIMIT as usize {
        return Err(GgufProblem::Dimensions {
            found: u32::try_from(dimensions.len()).unwrap_or(u32::MAX),
            limit: DIMENSIONS_LIMIT,
        });
    }
    if dimensions.contains(&0) {
        return Err(GgufProblem::Empty {
            dimensions: dimensions.clone(),
        });
    }
    let countable = tensor.elements().and(tensor.bytes());
    countable.ok_or_else(|| GgufProblem::Size {
        tensor_type: *tensor_type,
        dimensions: dimensions.clone(),
    })
}

/// Returns a whole header, padded, of tensors with the given offsets.
pub(super) fn encode<'a>(
    key_values: &KeyValues,
    tensors: impl ExactSizeIterator<Item = (&'a TensorDescription, u64)>,
    alignment: u32,
) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend(VERSION.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((key_values.len() as u64).to_le_bytes());
    for (key, value) in key_values.iter() {
        write_string(key, &mut out);
        write_value(value, &mut out);
    }
    for (tensor, offset) in tensors {
        write_string(&tensor.name, &mut out);
        let dimensions = u32::try_from(tensor.dimensions.len());
        let dimensions = dimensions.expect("a checked tensor has four dimensions at most");
        out.extend(dimensions.to_le_bytes());
        for size in &tensor.dimensions {
            out.extend(size.to_le_bytes());
        }
        out.extend(tensor.tensor_type.id().to_le_bytes());
        out.extend(offset.to_le_bytes());
    }
    out.resize(out.len().next_multiple_of(alignment as usize), 0);
    out
}
