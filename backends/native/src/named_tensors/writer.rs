use std::collections::BTreeMap;
use std::io::Write;

use candle_core::{DType, Tensor};
use half::{bf16, f16};
use serde_json::{Map, Value, json};

use crate::error::NativeError;
use crate::host;

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

/// A tensor that is written, where it lies.
#[derive(Clone, Debug)]
pub enum StoredTensor<'a> {
    /// On any device.
    Tensor(&'a Tensor),
    /// Numbers in the host's memory, of this shape.
    F32(&'a [f32], Vec<usize>),
    /// Bytes in the host's memory, of this shape.
    U8(&'a [u8], Vec<usize>),
    /// A single number.
    I64(i64),
}

impl StoredTensor<'_> {
    fn dtype(&self) -> DType {
        match self {
            Self::Tensor(tensor) => tensor.dtype(),
            Self::F32(..) => DType::F32,
            Self::U8(..) => DType::U8,
            Self::I64(_) => DType::I64,
        }
    }

    fn shape(&self) -> &[usize] {
        match self {
            Self::Tensor(tensor) => tensor.dims(),
            Self::F32(_, shape) | Self::U8(_, shape) => shape,
            Self::I64(_) => &[],
        }
    }

    /// Writes the values, little-endian as on every machine this runs on.
    fn write(&self, out: &mut impl Write, dtype: DType) -> Result<(), WriteFault> {
        match self {
            Self::Tensor(tensor) => write_values(out, &tensor.to_dtype(dtype)?)?,
            Self::F32(values, _) => out.write_all(bytemuck::cast_slice(values))?,
            Self::U8(values, _) => out.write_all(values)?,
            Self::I64(value) => out.write_all(&value.to_le_bytes())?,
        }
        Ok(())
    }
}

/// Writes tensors as safetensors, sorted by name, with the metadata that transformers and PEFT ask for.
///
/// Values of the host's memory are written from where they lie; others come from their device one tensor
/// at a time. `stored_as` says what format of numbers candle's tensors are converted to.
pub(crate) fn write_tensors<N: AsRef<str>>(
    out: &mut impl Write,
    tensors: &BTreeMap<N, StoredTensor<'_>>,
    stored_as: Option<DType>,
) -> Result<(), WriteFault> {
    let stored_as = |tensor: &StoredTensor<'_>| match tensor {
        StoredTensor::Tensor(tensor) => stored_as.unwrap_or(tensor.dtype()),
        other => other.dtype(),
    };
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    let mut offset = 0;
    for (name, tensor) in tensors {
        let dtype = stored_as(tensor);
        let count: usize = tensor.shape().iter().product();
        let end = offset + count * dtype.size_in_bytes();
        let entry = json!({
            "dtype": dtype_name(dtype)?,
            "shape": tensor.shape(),
            "data_offsets": [offset, end],
        });
        header.insert(name.as_ref().to_owned(), entry);
        offset = end;
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for tensor in tensors.values() {
        tensor.write(out, stored_as(tensor))?;
    }
    Ok(())
}

fn write_values(out: &mut impl Write, tensor: &Tensor) -> Result<(), WriteFault> {
    if host::is_on_host(tensor) && tensor.is_contiguous() {
        let values = host::values(tensor)?;
        return Ok(out.write_all(bytemuck::cast_slice(&values))?);
    }
    let flat = tensor.flatten_all()?;
    match tensor.dtype() {
        DType::F32 => out.write_all(bytemuck::cast_slice(&flat.to_vec1::<f32>()?))?,
        DType::BF16 => out.write_all(&bytes_of(&flat.to_vec1::<bf16>()?, bf16::to_le_bytes))?,
        DType::F16 => out.write_all(&bytes_of(&flat.to_vec1::<f16>()?, f16::to_le_bytes))?,
        DType::U8 => out.write_all(&flat.to_vec1::<u8>()?)?,
        DType::I64 => out.write_all(bytemuck::cast_slice(&flat.to_vec1::<i64>()?))?,
        DType::U32 => out.write_all(bytemuck::cast_slice(&flat.to_vec1::<u32>()?))?,
        other => return Err(unsupported(other)),
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
