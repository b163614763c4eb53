//! A trainer in Rust: one decoder for all families, LoRA, QLoRA and full fine-tuning.
//!
//! Tensors are candle's, gradients are not: every operation has its backward pass beside its forward
//! pass, and a layer is the unit of both. Frozen weights are read where they lie and never get a
//! gradient. Sequences of a batch follow one another without padding, so that packing is nothing
//! special.

mod batch;
mod error;

mod host;
mod matrix;
mod rows;
#[cfg(test)]
mod testing;

mod dynamic_code;
mod nf4;
mod ops;

mod parameters;

mod adaptation;
mod compute;
mod decoder;

pub use adaptation::{Adaptation, Bias, LoraOptions, TargetModules};
pub use batch::Batch;
pub use compute::{Compute, Nf4Options};
pub use decoder::{BatchLoss, Decoder, Pass, SequenceLoss};
pub use error::NativeError;
pub use nf4::{Nf4Absmax, Nf4Error, Nf4Matrix, Nf4Quantiser};
pub use parameters::{Gradients, Parameter, ParameterId, Parameters};
