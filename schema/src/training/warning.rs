use serde::{Deserialize, Serialize};

/// What a reader must know before trusting a tuned model, with the numbers it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum TrainingWarning {
    /// The loss is so high that the model is still confused.
    HighLoss {
        /// Where it ended.
        loss: f64,
        /// The bound.
        threshold: f64,
    },
    /// The loss is so low that the model may be memorising.
    OverfittingRisk {
        /// Where it ended.
        loss: f64,
        /// Where the evaluation loss ended; `None` where nothing was held out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        eval_loss: Option<f64>,
        /// The bound.
        threshold: f64,
    },
    /// There was nothing left to learn, or nothing that counted.
    ZeroLoss {
        /// The first step with such a loss.
        step: u64,
        /// The loss.
        loss: f64,
    },
    /// The loss did not fall.
    LossNotFalling {
        /// Mean over the first entries.
        first: f64,
        /// Mean over the last entries.
        last: f64,
    },
    /// The evaluation loss rose while the training loss went on falling.
    EvalLossRising {
        /// The step with the lowest.
        best_step: u64,
        /// The lowest.
        best: f64,
        /// The last step evaluated.
        last_step: u64,
        /// The loss there.
        last: f64,
    },
    /// Nothing was held out, so that nobody can tell learning from memorising.
    NoEvaluation,
    /// So few examples show a style, but hardly teach it.
    FewExamples {
        /// How many.
        examples: u64,
        /// From how many on it is not said.
        threshold: u64,
    },
    /// Examples or tokens of the data were not learnt from.
    DataLost {
        /// Examples left out.
        examples_lost: u64,
        /// Examples cut off.
        examples_truncated: u64,
        /// Tokens that went with both.
        tokens_lost: u64,
    },
    /// The model is a base model, one that was never taught to follow instructions.
    BaseModelNotInstruct {
        /// The model.
        model: String,
    },
    /// More memory was used than predicted.
    MemoryAbovePrediction {
        /// The predicted peak.
        predicted_bytes: u64,
        /// The measured peak.
        measured_bytes: u64,
    },
    /// Anything else a trainer wants said.
    Other {
        /// What is so, as a sentence.
        what: String,
        /// What to do about it, as a sentence.
        mend: String,
    },
}
