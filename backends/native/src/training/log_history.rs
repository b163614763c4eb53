use serde::{Deserialize, Serialize};

use super::event::{Evaluation, LogLine};

/// An entry of `log_history`, with the names that transformers gives; an evaluation has `eval_loss`, a line
/// of the training log the others.
///
/// What time it took is not in it: a run that is resumed must leave the same bytes as one that is not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LogEntry {
    // In the order of names, as transformers sorts them.
    epoch: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    eval_loss: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grad_norm: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    learning_rate: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    loss: Option<f64>,
    step: usize,
}

impl From<&LogLine> for LogEntry {
    fn from(line: &LogLine) -> Self {
        Self {
            epoch: line.epoch,
            eval_loss: None,
            grad_norm: Some(line.grad_norm),
            learning_rate: Some(line.learning_rate),
            loss: Some(line.loss),
            step: line.step,
        }
    }
}

impl From<&Evaluation> for LogEntry {
    fn from(evaluation: &Evaluation) -> Self {
        Self {
            epoch: evaluation.epoch,
            eval_loss: Some(evaluation.loss),
            grad_norm: None,
            learning_rate: None,
            loss: None,
            step: evaluation.step,
        }
    }
}
