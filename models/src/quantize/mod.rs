//! Fewer bits for each weight: which type each tensor gets, and ggml's own routines to get there.

mod block;
mod mix;
#[cfg(feature = "ggml")]
#[allow(
    clippy::inline_always,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "all is compiled anew with the widest instructions; levels and scales fit a byte"
)]
mod search;

pub use block::QuantizeError;
pub(crate) use block::{is_available, quantize_rows};
pub(crate) use mix::{Mix, has_small_values, usual_type};
