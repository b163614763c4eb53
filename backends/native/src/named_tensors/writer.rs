use std::collections::BTreeMap;
use std::io::Write;

use candle_core::{DType, Tensor};
use half::{bf16, f16};
use serde_json::{Map, Value, json};

use crate::error::NativeError;

/// Bytes that the values begin at a multiple of.
const ALIGNMENT: usize = 8;

/// Why tensors were not written.
#[derive(Debug)]
pub(crate) enum WriteFault {
    /// The file cannot be written.
    Io(std::io::Error),
    /// A tensor cannot be read from its device.
    Tensor(NativeError),
}

impl From<std::io::Error> for WriteFault {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<candle_core::Error> for WriteFault {
    fn from(error: candle_core::Error) -> Self {
        Self::Tensor(error.into())
    }
}

/// Writes tensors as safetensors, sorted by name, with the metadata that transformers and PEFT ask for.
///
/// Values come from their device one tensor at a time. `stored_as` says what format of numbers each is
/// converted to; all are little-endian, as on every machine this runs on.
pub(crate) fn write_tensors(
    out: &mut impl Write,
    tensors: &BTreeMap<&str, &Tensor>,
    stored_as: Option<DType>,
) -> Result<(), WriteFault> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    let mut offset = 0;
    for (name, tensor) in tensors {
        let dtype = stored_as.unwrap_or(tensor.dtype());
        let end = offset + tensor.elem_count() * dtype.size_in_bytes();
        let entry = json!({
            "dtype": dtype_name(dtype)?,
            "shape": tensor.dims(),
            "data_offsets": [offset, end],
        });
        header.insert((*name).to_owned(), entry);
        offset = end;
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for tensor in tensors.values() {
        let dtype = stored_as.unwrap_or(tensor.dtype());
        let flat = tensor.to_dtype(dtype)?.flatten_all()?;
        match dtype {
            DType::F32 => out.write_all(bytemuck::cast_slice(&flat.to_vec1::<f32>()?))?,
            DType::BF16 => out.write_all(&bytes_of(&flat.to_vec1::<bf16>()?, bf16::to_le_bytes))?,
            DType::F16 => out.write_all(&bytes_of(&flat.to_vec1::<f16>()?, f16::to_le_bytes))?,
            DType::U8 => out.write_all(&flat.to_vec1::<u8>()?)?,
            DType::I64 => out.write_all(bytemuck::cast_slice(&flat.to_vec1::<i64>()?))?,
            DType::U32 => out.write_all(bytemuck::cast_slice(&flat.to_vec1::<u32>()?))?,
            other => return Err(unsupported(other)),
        }
    }
    Ok(())
}

fn bytes_of<T: Copy>(values: &[T], bytes: impl Fn(T) -> [u8; 2]) -> Vec<u8> {
    values.iter().flat_map(|&value| bytes(value)).collect()
}

fn dtype_name(dtype: DType) -> Result<&'static str, WriteFault> {
    match dtype {
        DType::F32 => Ok("F32"),
        DType::BF16 => Ok("BF16"),
        DType::F16 => Ok("F16"),
        DType::U8 => Ok("U8"),
        DType::I64 => Ok("I64"),
        DType::U32 => Ok("U32"),
        other => Err(unsupported(other)),
    }
}

fn unsupported(dtype: DType) -> WriteFault {
    candle_core::Error::UnsupportedDTypeForOp(dtype, "write to safetensors").into()
}
