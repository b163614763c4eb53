use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::Dtype;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::NativeError;

/// Bytes of a header, at most; a table of a hundred thousand tensors has some ten millions.
const HEADER_LIMIT: u64 = 100_000_000;

/// A safetensors file, its header read and checked against the file's length.
pub(crate) struct NamedTensors {
    file: File,
    tensors: BTreeMap<String, Entry>,
    /// Where values begin.
    data: u64,
}

/// What a header says of a tensor.
#[derive(Deserialize)]
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// Why a tensor was not read.
#[derive(Debug)]
pub(crate) enum TensorFault {
    /// The file cannot be read.
    Io(std::io::Error),
    /// The file is no safetensors file.
    Format(String),
    /// The tensor is not what was expected: what it is.
    Other(String),
    /// The tensor cannot be brought to its device.
    Tensor(NativeError),
}

impl From<std::io::Error> for TensorFault {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<candle_core::Error> for TensorFault {
    fn from(error: candle_core::Error) -> Self {
        Self::Tensor(error.into())
    }
}

impl NamedTensors {
    /// Reads the header.
    pub(crate) fn open(path: &Path) -> Result<Self, TensorFault> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut header = vec![0; 8];
        if length < 8 {
            return Err(TensorFault::Format(format!("has {length} bytes")));
        }
        file.read_exact(&mut header)?;
        let count = u64::from_le_bytes(header[..].try_into().expect("eight bytes"));
        if count > HEADER_LIMIT || count + 8 > length {
            let reason = format!("a header of {count} bytes in a file of {length}");
            return Err(TensorFault::Format(reason));
        }
        header.clear();
        (&file).take(count).read_to_end(&mut header)?;
        let data = count + 8;
        let tensors = entries(&header, length - data).map_err(TensorFault::Format)?;
        Ok(Self {
            file,
            tensors,
            data,
        })
    }

    /// Returns the names of its tensors, sorted.
    pub(crate) fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Reads a tensor that must have a shape and a format of numbers.
    pub(crate) fn read(
        &self,
        name: &str,
        shape: &[usize],
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor, TensorFault> {
        let Some(info) = self.tensors.get(name) else {
            return Err(TensorFault::Other("absent".to_owned()));
        };
        let found = dtype_of(info);
        if info.shape != shape || found != Some(dtype) {
            let found = found.map_or("?", |dtype| dtype.as_str());
            let text = format!("{found} {:?}", info.shape);
            return Err(TensorFault::Other(text));
        }
        self.values(info, dtype, device)
    }

    /// Reads a tensor as it is.
    pub(crate) fn read_any(&self, name: &str, device: &Device) -> Result<Tensor, TensorFault> {
        let info = self.tensors.get(name);
        let info = info.ok_or_else(|| TensorFault::Other("absent".to_owned()))?;
        let dtype = dtype_of(info);
        let dtype = dtype.ok_or_else(|| TensorFault::Other(format!("{:?}", info.dtype)))?;
        self.values(info, dtype, device)
    }

    fn values(&self, info: &Entry, dtype: DType, device: &Device) -> Result<Tensor, TensorFault> {
        let (start, end) = info.data_offsets;
        // No more than the file has, as was looked at.
        let mut bytes = vec![0; usize::try_from(end - start).expect("within the address space")];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.data + start))?;
        file.read_exact(&mut bytes)?;
        Ok(Tensor::from_raw_buffer(&bytes, dtype, &info.shape, device)?)
    }
}

/// Reads a header's entries, and sees that each lies within the file and is as long as its shape says.
fn entries(header: &[u8], length: u64) -> Result<BTreeMap<String, Entry>, String> {
    let fields: Map<String, Value> =
        serde_json::from_slice(header).map_err(|error| error.to_string())?;
    let mut tensors = BTreeMap::new();
    let mut end = 0;
    for (name, value) in fields {
        if name == "__metadata__" {
            continue;
        }
        let entry: Entry =
            serde_json::from_value(value).map_err(|error| format!("tensor `{name}`: {error}"))?;
        let (start, stop) = entry.data_offsets;
        let bits = entry
            .shape
            .iter()
            .try_fold(entry.dtype.bitsize() as u64, |bits, &size| {
                bits.checked_mul(size as u64)
            });
        let is_within = start <= stop && stop <= length;
        if !is_within || bits != (stop - start).checked_mul(8) {
            return Err(format!(
                "tensor `{name}`: bytes {start} to {stop} of {length} for {:?} {:?}",
                entry.dtype, entry.shape
            ));
        }
        end = end.max(stop);
        tensors.insert(name, entry);
    }
    if end != length {
        return Err(format!(
            "{end} bytes of values in the header, {length} in the file"
        ));
    }
    Ok(tensors)
}

fn dtype_of(info: &Entry) -> Option<DType> {
    match info.dtype {
        Dtype::F32 => Some(DType::F32),
        Dtype::BF16 => Some(DType::BF16),
        Dtype::F16 => Some(DType::F16),
        Dtype::U8 => Some(DType::U8),
        Dtype::I64 => Some(DType::I64),
        Dtype::U32 => Some(DType::U32),
        _ => None,
    }
}
