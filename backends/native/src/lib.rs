//! A trainer in Rust: one decoder for all families, LoRA, QLoRA and full fine-tuning.
//!
//! Tensors are candle's, gradients are not: every operation has its backward pass beside its forward
//! pass, and a layer is the unit of both. Frozen weights are read where they lie and never get a
//! gradient. Sequences of a batch follow one another without padding, so that packing is nothing
//! special.

mod batch;
mod dropout;
mod dynamic_code;
mod error;
mod host_values;
mod nf4;
mod optimiser;
mod parameters;
mod schedule;

pub use batch::Batch;
pub use dropout::{Dropout, DropoutError};
pub use error::NativeError;
pub use nf4::{Nf4Absmax, Nf4Error, Nf4Matrix, Nf4Quantiser};
pub use optimiser::{Optimiser, OptimiserError, OptimiserKind, clip_gradients};
pub use parameters::{Gradients, Parameter, ParameterId, Parameters};
pub use schedule::{LearningRateSchedule, Warmup};
