use serde::{Deserialize, Serialize};

use super::{MemoryPart, TrainingDataReport};

/// What a training run is going to do, known before its first step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingPlan {
    /// Steps in all.
    pub steps: u64,
    /// Passes over the data; fractional where the steps end within one.
    pub epochs: f64,
    /// Batches that go through the model in one pass over the data.
    pub batches_per_epoch: u64,
    /// Batches whose gradients make one step.
    pub gradient_accumulation_steps: u64,
    /// The training data.
    pub data: TrainingDataReport,
    /// The held-out data, if there is any.
    pub eval_data: Option<TrainingDataReport>,
    /// Values that are trained.
    pub trainable_parameters: u64,
    /// Values of the whole model, the trained ones among them.
    pub total_parameters: u64,
    /// The device, e.g. `cpu` or `NVIDIA H200`.
    pub device: String,
    /// Its memory; `None` where it does not tell.
    pub capacity_bytes: Option<u64>,
    /// Predicted memory at the peak, by part.
    pub memory: Vec<MemoryPart>,
    /// The parts that exist at the same time, added up.
    pub predicted_peak_bytes: u64,
}
