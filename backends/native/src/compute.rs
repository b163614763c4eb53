use candle_core::{DType, Device};

use crate::cuda;
use crate::error::NativeError;

/// Where a model is computed, and in what numbers.
#[derive(Clone, Debug)]
pub struct Compute {
    /// The device.
    pub device: Device,
    /// The format of activations; on the host `F32`.
    pub dtype: DType,
    /// How frozen weights of linear layers are kept; as they are if none.
    pub quantisation: Option<Nf4Options>,
}

/// How weights are kept in four bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nf4Options {
    /// Whether scales are quantised too.
    pub double_quant: bool,
}

impl Compute {
    /// Returns the host's memory and `f32`.
    pub fn host(quantisation: Option<Nf4Options>) -> Self {
        Self {
            device: Device::Cpu,
            dtype: DType::F32,
            quantisation,
        }
    }

    /// Returns the first CUDA card and `bf16`, or `f32` if that is wanted.
    ///
    /// Errors if there is no card, or this build cannot use one.
    pub fn cuda(quantisation: Option<Nf4Options>, in_f32: bool) -> Result<Self, NativeError> {
        Ok(Self {
            device: cuda::open()?,
            dtype: if in_f32 { DType::F32 } else { DType::BF16 },
            quantisation,
        })
    }

    /// Tells whether there is a CUDA card that this build can use.
    pub fn has_cuda() -> bool {
        cuda::open().is_ok()
    }

    /// Tells whether the host's own routines compute.
    pub(crate) fn is_host(&self) -> bool {
        self.device.is_cpu() && self.dtype == DType::F32
    }
}
