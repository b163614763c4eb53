use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::TrainingLogEntry;

/// `trainer_state.json` of a checkpoint, as transformers 5 writes and reads it (`TrainerState`).
///
/// All its fields, in alphabetical order as there; a field it lacks, other versions' files may have, and
/// it is passed over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainerState {
    /// The step with the best metric.
    pub best_global_step: Option<u64>,
    /// The best metric, here the lowest evaluation loss.
    pub best_metric: Option<f64>,
    /// The directory of its checkpoint.
    pub best_model_checkpoint: Option<String>,
    /// Passes over the data done, with the begun one's share.
    pub epoch: f64,
    /// Steps between two evaluations.
    pub eval_steps: u64,
    /// Steps done.
    pub global_step: u64,
    /// Whether hyper-parameters are being searched.
    pub is_hyper_param_search: bool,
    /// Whether this is the machine's main process.
    pub is_local_process_zero: bool,
    /// Whether this is the main process of all.
    pub is_world_process_zero: bool,
    /// All that was logged.
    pub log_history: Vec<TrainingLogEntry>,
    /// Steps between two entries.
    pub logging_steps: u64,
    /// Steps in all.
    pub max_steps: u64,
    /// Tokens of input so far.
    pub num_input_tokens_seen: u64,
    /// Passes over the data in all, the last counted whole.
    pub num_train_epochs: u64,
    /// Steps between two checkpoints.
    pub save_steps: u64,
    /// What callbacks remember.
    pub stateful_callbacks: StatefulCallbacks,
    /// Floating-point operations so far; 0 where they are not counted.
    pub total_flos: f64,
    /// Examples of one batch on one device.
    pub train_batch_size: Option<u64>,
    /// The trial's name in a search.
    pub trial_name: Option<String>,
    /// The trial's hyper-parameters in a search.
    pub trial_params: Option<BTreeMap<String, Value>>,
}

impl Default for TrainerState {
    /// Returns the state before the first step, with the defaults of transformers.
    fn default() -> Self {
        Self {
            best_global_step: None,
            best_metric: None,
            best_model_checkpoint: None,
            epoch: 0.0,
            eval_steps: 500,
            global_step: 0,
            is_hyper_param_search: false,
            is_local_process_zero: true,
            is_world_process_zero: true,
            log_history: Vec::new(),
            logging_steps: 500,
            max_steps: 0,
            num_input_tokens_seen: 0,
            num_train_epochs: 0,
            save_steps: 500,
            stateful_callbacks: StatefulCallbacks::default(),
            total_flos: 0.0,
            train_batch_size: None,
            trial_name: None,
            trial_params: None,
        }
    }
}

/// What callbacks remember, under the names of their classes in transformers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatefulCallbacks {
    /// How long the evaluation loss has not improved, where that can end the run.
    #[serde(
        rename = "EarlyStoppingCallback",
        skip_serializing_if = "Option::is_none"
    )]
    pub early_stopping: Option<EarlyStoppingCallback>,
}

/// The state of `EarlyStoppingCallback`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlyStoppingCallback {
    /// What it was made with.
    pub args: EarlyStoppingArgs,
    /// What it counts.
    pub attributes: EarlyStoppingAttributes,
}

/// What `EarlyStoppingCallback` was made with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlyStoppingArgs {
    /// Evaluations without improvement that end the run.
    pub early_stopping_patience: u32,
    /// How much counts as improvement.
    pub early_stopping_threshold: f64,
}

/// What `EarlyStoppingCallback` counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlyStoppingAttributes {
    /// Evaluations without improvement so far.
    pub early_stopping_patience_counter: u32,
}

#[cfg(test)]
mod tests {
    use super::TrainerState;

    #[test]
    fn what_others_wrote_is_read_and_written_back() {
        let text = r#"{"epoch": 1, "global_step": 2, "log_history": [{"epoch": 0, "eval_loss": 2.2,
            "eval_steps_per_second": 0.7, "step": 0}], "stateful_callbacks": {"TrainerControl": {},
            "EarlyStoppingCallback": {"args": {"early_stopping_patience": 3,
            "early_stopping_threshold": 0.0}, "attributes": {"early_stopping_patience_counter": 1}}}}"#;
        let state: TrainerState = serde_json::from_str(text).unwrap();
        assert_eq!((state.epoch, state.global_step), (1.0, 2));
        assert_eq!(state.log_history[0].eval_loss, Some(2.2));
        let callback = state.stateful_callbacks.early_stopping.as_ref().unwrap();
        assert_eq!(callback.attributes.early_stopping_patience_counter, 1);
        let json = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<TrainerState>(&json).unwrap(), state);
    }
}
