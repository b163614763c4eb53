//! A trainer in Rust: one decoder for all families, LoRA, QLoRA and full fine-tuning.
//!
//! Tensors are candle's, gradients are not: every operation has its backward pass beside its forward
//! pass, and a layer is the unit of both. Frozen weights are read where they lie and never get a
//! gradient. Sequences of a batch follow one another without padding, so that packing is nothing
//! special.

mod batch;
mod error;

mod heap;
mod host;
mod matrix;
mod rows;
#[cfg(test)]
mod testing;

mod dropout;
mod dynamic_code;
mod nf4;
mod ops;
mod optimiser;

mod parameters;
mod schedule;

mod adaptation;
mod compute;
mod cuda;
mod decoder;

mod adapter;
mod named_tensors;
mod training;

pub mod memory_plan;

pub use adaptation::{Adaptation, Bias, LoraOptions, TargetModules};
pub use adapter::{AdapterDescription, ModelForm, TrainedModel};
pub use batch::Batch;
pub use compute::{Compute, Nf4Options};
pub use cuda::CudaError;
pub use decoder::{BatchLoss, Decoder, Pass, SequenceLoss};
pub use dropout::{Dropout, DropoutError};
pub use error::NativeError;
pub use heap::share_one_heap;
pub use named_tensors::StoredTensor;
pub use nf4::{Nf4Absmax, Nf4Error, Nf4Matrix, Nf4Quantiser};
pub use optimiser::{Optimiser, OptimiserError, OptimiserKind, clip_gradients};
pub use parameters::{Gradients, Parameter, ParameterId, Parameters};
pub use schedule::LearningRateSchedule;
pub use training::{
    CheckpointFault, CheckpointProblem, Difference, Ending, Evaluation, LogLine, LrSchedulerType,
    MemoryKnob, Optim, StepRecord, TrainingData, TrainingError, TrainingEvent, TrainingJob,
    TrainingLength, TrainingOptions, TrainingOutcome, TrainingPlan, TrainingWarning, Warmup, Watch,
    latest_checkpoint, train,
};
