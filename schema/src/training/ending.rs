use serde::{Deserialize, Serialize};

/// How a training run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum TrainingEnding {
    /// All steps were done.
    Finished,
    /// The evaluation loss stopped falling.
    EarlyStopping {
        /// Evaluations without a better loss that were waited for.
        patience: u32,
    },
    /// Somebody stopped it; it can be resumed.
    Interrupted {
        /// The checkpoint to resume from, relative to the output directory; `None` before the first
        /// step.
        checkpoint: Option<String>,
    },
    /// Something went wrong.
    Failed {
        /// What.
        error: String,
        /// The example at fault, where one is known, e.g. `train.jsonl:12`.
        example: Option<String>,
    },
}
