//! The search for the scales of a block, eight runs of values at a time; ggml takes one after another.

mod lanes;
mod scale_and_min;
mod scale_only;

use crate::gguf::TensorType;

/// The types whose blocks are searched here.
#[derive(Clone, Copy)]
pub(super) enum Search {
    ScaleAndMin(scale_and_min::Form),
    ScaleOnly,
}

impl Search {
    /// Returns how a type's blocks are searched; none if ggml is as fast.
    pub(super) fn of(tensor_type: TensorType) -> Option<Self> {
        match tensor_type {
            TensorType::Q4_K => Some(Self::ScaleAndMin(scale_and_min::Q4_K)),
            TensorType::Q5_K => Some(Self::ScaleAndMin(scale_and_min::Q5_K)),
            TensorType::Q6_K => Some(Self::ScaleOnly),
            _ => None,
        }
    }

    /// Quantises one block with whatever vector instructions the processor has; false if it is one
    /// that must be left to ggml.
    pub(super) fn quantize(self, values: &[f32], bytes: &mut [u8]) -> bool {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            #[expect(unsafe_code, reason = "only this reaches the instructions")]
            // SAFETY: the processor has been asked for them.
            return unsafe { self.quantize_with_avx2(values, bytes) };
        }
        self.quantize_anywhere(values, bytes)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn quantize_with_avx2(self, values: &[f32], bytes: &mut [u8]) -> bool {
        self.quantize_anywhere(values, bytes)
    }

    #[inline(always)]
    fn quantize_anywhere(self, values: &[f32], bytes: &mut [u8]) -> bool {
        match self {
            Self::ScaleAndMin(form) => scale_and_min::quantize(form, values, bytes),
            Self::ScaleOnly => scale_only::quantize(values, bytes),
        }
    }
}
