use serde::{Deserialize, Serialize};

/// What a training run came to, in the names of Hugging Face's trainers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingMetrics {
    /// Steps done.
    pub global_step: u64,
    /// Passes over the data done.
    pub epoch: f64,
    /// Mean loss over all steps; `None` before the first.
    pub train_loss: Option<f64>,
    /// Loss on the held-out data of the weights that were kept.
    pub eval_loss: Option<f64>,
    /// Seconds from the first step to the last, evaluations included.
    pub train_runtime: f64,
    /// Examples a second.
    pub train_samples_per_second: Option<f64>,
    /// Steps a second.
    pub train_steps_per_second: Option<f64>,
    /// Tokens of input a second.
    pub train_tokens_per_second: Option<f64>,
    /// Tokens of input, over all epochs.
    pub num_input_tokens_seen: u64,
    /// Of these, tokens that carried a label.
    pub num_labelled_tokens_seen: u64,
    /// Floating-point operations, where they were counted.
    pub total_flos: Option<f64>,
}

/// The step with the lowest evaluation loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestStep {
    /// Steps done.
    pub step: u64,
    /// Passes over the data done.
    pub epoch: f64,
    /// The loss.
    pub eval_loss: f64,
    /// Its checkpoint, relative to the output directory, if it was kept.
    pub checkpoint: Option<String>,
}
