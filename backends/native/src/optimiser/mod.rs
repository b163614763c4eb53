//! Gradients and a learning rate in, changed parameters out: `AdamW`, with states of 32 or 8 bits.
//!
//! States stay in the host's memory wherever the model computes.

mod adamw;
mod clipping;
mod error;
mod kernel;
mod moments;

pub use adamw::{Optimiser, OptimiserKind};
pub use clipping::clip_gradients;
pub use error::OptimiserError;
