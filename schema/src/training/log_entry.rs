use serde::{Deserialize, Serialize};

/// One line of a training log, in the names of Hugging Face's trainers; absent is what it does not tell.
///
/// Fields stand in alphabetical order, as `trainer_state.json` has them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainingLogEntry {
    /// Passes over the data done, with the begun one's share.
    pub epoch: f64,
    /// Mean loss over the labelled tokens of the held-out data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_loss: Option<f64>,
    /// Seconds the evaluation took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_runtime: Option<f64>,
    /// Examples evaluated a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_samples_per_second: Option<f64>,
    /// Norm of all gradients before clipping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grad_norm: Option<f64>,
    /// What the step was taken with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Mean loss over the labelled tokens of the steps since the last entry, before each was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Peak memory of the device so far (a name of ours).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Steps done.
    pub step: u64,
    /// Tokens of input a second since the last entry (a name of ours).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
    /// Floating-point operations of the whole run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_flos: Option<f64>,
    /// Mean loss over all steps of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_loss: Option<f64>,
    /// Seconds that training took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_runtime: Option<f64>,
    /// Examples learnt from a second, over the whole run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_samples_per_second: Option<f64>,
    /// Steps a second, over the whole run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_steps_per_second: Option<f64>,
}
