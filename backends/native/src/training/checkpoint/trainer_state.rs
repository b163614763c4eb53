use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::training::log_history::LogEntry;
use crate::training::options::TrainingOptions;
use crate::training::progress::Progress;
use crate::training::step_plan::StepPlan;

/// Name of the file in which transformers keeps what happened while training.
pub(crate) const FILE: &str = "trainer_state.json";

/// What is read back of it.
#[derive(Deserialize)]
pub(super) struct TrainerState {
    pub(super) log_history: Vec<LogEntry>,
}

/// Returns `trainer_state.json` with all fields of transformers 5.23's `TrainerState`, as it writes them:
/// sorted, indented by two.
///
/// `total_flos` is 0: nothing is counted, and nothing estimated. `best_model_checkpoint` is a name beside
/// this checkpoint, not a path, so that the directory can be moved.
pub(super) fn trainer_state(
    options: &TrainingOptions,
    plan: &StepPlan,
    progress: &Progress,
) -> Result<String, serde_json::Error> {
    let is_last = progress.step >= plan.steps || progress.stopped_early;
    let mut callbacks = serde_json::Map::new();
    if let Some(patience) = options.early_stopping_patience {
        let state = json!({
            "args": {"early_stopping_patience": patience, "early_stopping_threshold": 0.0},
            "attributes": {"early_stopping_patience_counter": progress.evaluations_since_best},
        });
        callbacks.insert("EarlyStoppingCallback".to_owned(), state);
    }
    let control = json!({
        "args": {
            "should_epoch_stop": false,
            "should_evaluate": false,
            "should_log": false,
            "should_save": true,
            "should_training_stop": is_last,
        },
        "attributes": {},
    });
    callbacks.insert("TrainerControl".to_owned(), control);
    let best = progress.best;
    let state = json!({
        "best_global_step": best.map(|best| best.step),
        "best_metric": best.map(|best| best.loss),
        "best_model_checkpoint": best.map(|best| super::directory_name(best.step)),
        "epoch": plan.epoch_after(progress.step),
        "eval_steps": options.eval_steps.unwrap_or(500),
        "global_step": progress.step,
        "is_hyper_param_search": false,
        "is_local_process_zero": true,
        "is_world_process_zero": true,
        "log_history": progress.log_history,
        "logging_steps": options.logging_steps,
        "max_steps": plan.steps,
        "num_input_tokens_seen": progress.tokens_seen,
        "num_train_epochs": plan.epochs,
        "save_steps": options.save_steps.unwrap_or(500),
        "stateful_callbacks": callbacks,
        "total_flos": 0.0,
        "train_batch_size": options.per_device_train_batch_size,
        "trial_name": Value::Null,
        "trial_params": Value::Null,
    });
    indented(&state)
}

/// Returns JSON indented by two, with a line feed at its end.
pub(crate) fn indented(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(text)
}
