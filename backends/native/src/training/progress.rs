use serde::{Deserialize, Serialize};

use super::log_history::LogEntry;

/// How far training has come: all that the next step, line or evaluation needs of what went before,
/// weights and the optimiser's state apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Steps taken.
    pub(super) step: usize,
    /// Tokens seen.
    pub(super) tokens_seen: usize,
    /// Sum of all steps' losses.
    pub(super) total_loss: f64,
    /// The step of the last line of the log.
    pub(super) logged_step: usize,
    /// Sum of the losses since.
    pub(super) unlogged_loss: f64,
    /// Tokens seen since.
    pub(super) unlogged_tokens: usize,
    /// The step of the last evaluation.
    pub(super) evaluated_step: usize,
    /// The evaluation with the lowest loss.
    pub(super) best: Option<Best>,
    /// Evaluations since the best.
    pub(super) evaluations_since_best: usize,
    /// Steps of checkpoints that were saved out of turn, for being the best or for an interruption; they go
    /// when they are neither the best nor the latest any more.
    pub(super) out_of_turn: Vec<usize>,
    /// Whether patience has run out.
    pub(super) stopped_early: bool,
    /// What was logged; in a checkpoint it is in `trainer_state.json`.
    #[serde(skip)]
    pub(super) log_history: Vec<LogEntry>,
}

/// The evaluation with the lowest loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Best {
    /// Its step.
    pub(super) step: usize,
    /// Its loss.
    pub(super) loss: f64,
}
