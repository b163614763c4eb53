use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use safetensors::{SafeTensorError, SafeTensors};

use crate::error::NativeError;

/// Bytes of a header, at most; a table of a hundred thousand tensors has some ten millions.
const HEADER_LIMIT: u64 = 100_000_000;

/// A safetensors file, its header read and checked against the file's length.
pub(crate) struct NamedTensors {
    file: File,
    metadata: Metadata,
    /// Where values begin.
    data: u64,
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

impl From<SafeTensorError> for TensorFault {
    fn from(error: SafeTensorError) -> Self {
        Self::Format(error.to_string())
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
        (&file).take(count).read_to_end(&mut header)?;
        let (_, metadata) = SafeTensors::read_metadata(&header)?;
        let data = count + 8;
        if metadata.data_len() as u64 != length - data {
            let (said, found) = (metadata.data_len(), length - data);
            let reason = format!("{said} bytes of values in the header, {found} in the file");
            return Err(TensorFault::Format(reason));
        }
        Ok(Self {
            file,
            metadata,
            data,
        })
    }

    /// Returns the names of its tensors, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = self.metadata.offset_keys();
        names.sort_unstable();
        names
    }

    /// Reads a tensor that must have a shape and a format of numbers.
    pub(crate) fn read(
        &self,
        name: &str,
        shape: &[usize],
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor, TensorFault> {
        let Some(info) = self.metadata.info(name) else {
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
        let info = self.metadata.info(name);
        let info = info.ok_or_else(|| TensorFault::Other("absent".to_owned()))?;
        let dtype = dtype_of(info);
        let dtype = dtype.ok_or_else(|| TensorFault::Other(format!("{:?}", info.dtype)))?;
        self.values(info, dtype, device)
    }

    fn values(
        &self,
        info: &TensorInfo,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor, TensorFault> {
        let (start, end) = info.data_offsets;
        let mut bytes = vec![0; end - start];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.data + start as u64))?;
        file.read_exact(&mut bytes)?;
        Ok(Tensor::from_raw_buffer(&bytes, dtype, &info.shape, device)?)
    }
}

fn dtype_of(info: &TensorInfo) -> Option<DType> {
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
