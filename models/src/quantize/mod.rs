//! Fewer bits for each weight: which type each tensor gets, and ggml's own routines to get there.

mod block;
#[cfg(feature = "ggml")]
mod lanes;
mod mix;
#[cfg(feature = "ggml")]
mod scale_and_min;
#[cfg(feature = "ggml")]
mod scale_only;

pub use block::QuantizeError;
pub(crate) use block::{is_available, quantize_rows};
pub(crate) use mix::{Mix, has_small_values, usual_type};
