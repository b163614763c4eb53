use serde::{Deserialize, Serialize};

use super::{TrainingEnding, TrainingLogEntry, TrainingMetrics, TrainingPlan, TrainingWarning};

/// Something that happened during training; the progress bar and every log read these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum TrainingEvent {
    /// All is read and counted; the first step follows.
    Planned {
        /// What is to come.
        plan: TrainingPlan,
    },
    /// Training goes on where an earlier process stopped.
    Resumed {
        /// Steps already done.
        step: u64,
        /// The checkpoint's directory.
        path: String,
    },
    /// Steps were taken, and it is time to say so.
    StepLogged {
        /// Steps done.
        step: u64,
        /// Passes over the data done, with the begun one's share.
        epoch: f64,
        /// Mean over the labelled tokens of the steps since the last log, before each was taken.
        loss: f64,
        /// Norm of all gradients before clipping.
        grad_norm: Option<f64>,
        /// What the step was taken with.
        learning_rate: f64,
        /// Tokens of input a second since the last log.
        tokens_per_second: Option<f64>,
        /// Peak memory of the device so far.
        memory_bytes: Option<u64>,
        /// Seconds until the last step, as far as is known.
        seconds_left: Option<f64>,
    },
    /// The held-out data was read.
    Evaluated {
        /// Steps done.
        step: u64,
        /// Passes over the training data done.
        epoch: f64,
        /// Mean over all labelled tokens.
        eval_loss: f64,
        /// Examples read.
        examples: u64,
        /// Tokens that carried a label.
        labelled_tokens: u64,
        /// Seconds it took.
        runtime_s: f64,
        /// Whether no evaluation before had a lower loss.
        is_best: bool,
    },
    /// A checkpoint is complete.
    CheckpointSaved {
        /// Steps done.
        step: u64,
        /// Its directory.
        path: String,
    },
    /// A checkpoint made room for another.
    CheckpointRemoved {
        /// Steps that were done when it was saved.
        step: u64,
        /// Where its directory was.
        path: String,
    },
    /// Something looks wrong, but training goes on.
    Warned {
        /// What.
        warning: TrainingWarning,
    },
    /// Training is over.
    Ended {
        /// Why.
        ending: TrainingEnding,
        /// What it came to.
        metrics: TrainingMetrics,
    },
}

impl TrainingEvent {
    /// Returns the line of the log that tells of this, if it has numbers that belong there.
    pub fn log_entry(&self) -> Option<TrainingLogEntry> {
        match self {
            Self::StepLogged {
                step,
                epoch,
                loss,
                grad_norm,
                learning_rate,
                tokens_per_second,
                memory_bytes,
                seconds_left: _,
            } => Some(TrainingLogEntry {
                step: *step,
                epoch: *epoch,
                loss: Some(*loss),
                grad_norm: *grad_norm,
                learning_rate: Some(*learning_rate),
                tokens_per_second: *tokens_per_second,
                memory_bytes: *memory_bytes,
                ..TrainingLogEntry::default()
            }),
            Self::Evaluated {
                step,
                epoch,
                eval_loss,
                examples,
                runtime_s,
                ..
            } => Some(TrainingLogEntry {
                step: *step,
                epoch: *epoch,
                eval_loss: Some(*eval_loss),
                eval_runtime: Some(*runtime_s),
                eval_samples_per_second: (*runtime_s > 0.0).then(|| *examples as f64 / runtime_s),
                ..TrainingLogEntry::default()
            }),
            Self::Ended { metrics, .. } => Some(TrainingLogEntry {
                step: metrics.global_step,
                epoch: metrics.epoch,
                train_loss: metrics.train_loss,
                train_runtime: Some(metrics.train_runtime),
                train_samples_per_second: metrics.train_samples_per_second,
                train_steps_per_second: metrics.train_steps_per_second,
                total_flos: metrics.total_flos,
                ..TrainingLogEntry::default()
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TrainingEvent;

    #[test]
    fn an_evaluation_becomes_a_line_with_the_names_of_others() {
        let event = TrainingEvent::Evaluated {
            step: 20,
            epoch: 0.5,
            eval_loss: 1.25,
            examples: 30,
            labelled_tokens: 900,
            runtime_s: 4.0,
            is_best: true,
        };
        let line = serde_json::to_string(&event.log_entry().unwrap()).unwrap();
        assert_eq!(
            line,
            r#"{"epoch":0.5,"eval_loss":1.25,"eval_runtime":4.0,"eval_samples_per_second":7.5,"step":20}"#
        );
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<TrainingEvent>(&json).unwrap(), event);
    }
}
