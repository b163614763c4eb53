//! Each warning as sentences: what is so, and what to do about it.

use shipworthy_schema::TrainingWarning;

use crate::number_text::{bytes, grouped, loss, told_apart};

/// Returns `warning` in words with its numbers, unescaped.
pub fn training_warning_text(warning: &TrainingWarning) -> String {
    match warning {
        TrainingWarning::HighLoss { loss, threshold } => {
            let (loss, threshold) = told_apart(*loss, *threshold, 2);
            format!(
                "The loss ended at {loss}, above {threshold}: the model is still confused. Check \
                 chat template and labels, then train longer."
            )
        }
        TrainingWarning::OverfittingRisk {
            loss: value,
            eval_loss,
            threshold,
        } => {
            let (ended, threshold) = told_apart(*value, *threshold, 2);
            match eval_loss {
                Some(held_out) => format!(
                    "The training loss ended at {ended}, below {threshold}, and that of held-out \
                     examples at {}: the model memorises its examples. More data, fewer epochs or \
                     more dropout help.",
                    loss(*held_out)
                ),
                None => format!(
                    "The training loss ended at {ended}, below {threshold}: the model may be \
                     memorising its examples. Compare with the evaluation loss; more data, fewer \
                     epochs or more dropout help."
                ),
            }
        }
        TrainingWarning::ZeroLoss { step, loss: value } => format!(
            "The loss was {} at step {step}: the examples are known by heart, or their labels \
             hold nothing to learn. Look at an example with its labels; train fewer epochs.",
            loss(*value)
        ),
        TrainingWarning::LossNotFalling { first, last } => format!(
            "The loss did not fall: {} at first, {} in the end. Check data, chat template and \
             labels, then try another learning rate (1e-4 or 5e-5, if it was higher).",
            loss(*first),
            loss(*last)
        ),
        TrainingWarning::EvalLossRising {
            best_step,
            best,
            last_step,
            last,
        } => format!(
            "The evaluation loss rose from {} at step {best_step} to {} at step {last_step}, \
             while the training loss fell: the model has begun to memorise. Take the weights of \
             step {best_step}; train fewer epochs, or set early_stopping_patience.",
            loss(*best),
            loss(*last)
        ),
        TrainingWarning::NoEvaluation => {
            "Nothing was held out, so nobody can tell learning from memorising. Give eval_dataset."
                .to_owned()
        }
        TrainingWarning::FewExamples {
            examples,
            threshold,
        } => format!(
            "There were {} examples: enough to try things out, hardly to teach. From {threshold} \
             on a style begins to show; 100 to 200 and more make it steady.",
            grouped(*examples)
        ),
        TrainingWarning::DataLost {
            examples_lost,
            examples_truncated,
            tokens_lost,
        } => format!(
            "Examples left out: {}; cut off: {}. With them went {} tokens. Raise max_length, or \
             split long conversations.",
            grouped(*examples_lost),
            grouped(*examples_truncated),
            grouped(*tokens_lost)
        ),
        TrainingWarning::BaseModelNotInstruct { model } => format!(
            "{model} is a base model, which was never taught to follow instructions; a few \
             examples will not make up for that. Tune its instruct version."
        ),
        TrainingWarning::MemoryAbovePrediction {
            predicted_bytes,
            measured_bytes,
        } => format!(
            "At its peak the run took {}, with {} predicted. Leave room on smaller devices.",
            bytes(*measured_bytes),
            bytes(*predicted_bytes)
        ),
        TrainingWarning::Other { what, mend } => format!("{what} {mend}"),
    }
}
