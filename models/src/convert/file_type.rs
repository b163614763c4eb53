use crate::gguf::TensorType;
use crate::number_format::NumberFormat;

/// What a GGUF file's weights are stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// 32 bits.
    F32,
    /// IEEE 16 bits.
    F16,
    /// bfloat16.
    Bf16,
    /// 8 bits.
    Q8_0,
    /// Mostly 4 bits, some tensors 6.
    Q4KM,
    /// Mostly 5 bits, some tensors 6.
    Q5KM,
    /// 6 bits.
    Q6K,
}

impl FileType {
    /// Returns llama.cpp's number for it, the value of `general.file_type`.
    pub fn id(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q8_0 => 7,
            Self::Q4KM => 15,
            Self::Q5KM => 17,
            Self::Q6K => 18,
            Self::Bf16 => 32,
        }
    }

    /// Returns what llama.cpp calls it, e.g. `Q4_K_M`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::Q8_0 => "Q8_0",
            Self::Q4KM => "Q4_K_M",
            Self::Q5KM => "Q5_K_M",
            Self::Q6K => "Q6_K",
        }
    }

    /// Returns the type of most tensors, if they are quantised.
    pub(crate) fn quantized(self) -> Option<TensorType> {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => None,
            Self::Q8_0 => Some(TensorType::Q8_0),
            Self::Q4KM => Some(TensorType::Q4_K),
            Self::Q5KM => Some(TensorType::Q5_K),
            Self::Q6K => Some(TensorType::Q6_K),
        }
    }

    /// Returns what a matrix stored as `format` is before it is quantised.
    pub(crate) fn plain(self, format: NumberFormat) -> TensorType {
        match (self, format) {
            (Self::F32, _) => TensorType::F32,
            (Self::F16, _) => TensorType::F16,
            (Self::Bf16, _) => TensorType::BF16,
            (_, NumberFormat::F32) => TensorType::F32,
            (_, NumberFormat::F16) => TensorType::F16,
            (_, NumberFormat::Bf16) => TensorType::BF16,
        }
    }
}
