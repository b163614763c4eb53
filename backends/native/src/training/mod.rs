//! Training: steps over batches in a seeded order, evaluation, checkpoints, and exact resumption.
//!
//! Everything a step does is a function of the options, the data and the step's number: the order of
//! the data, what dropout leaves out and the learning rate have no state of their own. A checkpoint
//! therefore holds weights, the optimiser's state, and what was logged; a run that goes on from it gives
//! the same bytes as one that was never interrupted.

mod data;
mod error;
mod event;
mod job;
mod options;

mod order;
mod step_plan;

mod log_history;
mod progress;

mod checkpoint;

mod evaluation;
mod learning_rate;
mod not_finite;
mod out_of_memory;
mod output;
mod run;

pub use checkpoint::{CheckpointFault, CheckpointProblem, Difference, latest_checkpoint};
pub use data::TrainingData;
pub use error::TrainingError;
pub use event::{
    Ending, Evaluation, LogLine, StepRecord, TrainingEvent, TrainingOutcome, TrainingPlan,
    TrainingWarning,
};
pub use job::{TrainingJob, Watch};
pub use options::{LrSchedulerType, MemoryKnob, Optim, TrainingLength, TrainingOptions, Warmup};
pub use run::train;
