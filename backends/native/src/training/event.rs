use std::path::PathBuf;
use std::time::Duration;

use super::checkpoint::CheckpointFault;

/// What happens while a model is trained, as it happens.
#[derive(Clone, Debug)]
pub enum TrainingEvent {
    /// What is about to be done is known; nothing was computed yet.
    Planned(TrainingPlan),
    /// A checkpoint of the output directory is not whole and is passed over.
    CheckpointSkipped(CheckpointFault),
    /// The batch with most tokens went forward and back, to see whether memory suffices; its gradients
    /// are thrown away.
    LongestBatchPassed {
        /// Tokens of the batch.
        tokens: usize,
        /// Sequences of the batch.
        sequences: usize,
        /// How long it took.
        duration: Duration,
    },
    /// A batch went forward and back.
    BatchPassed {
        /// The step it belongs to, from 1.
        step: usize,
        /// Which of the step's batches it was, from 1.
        batch: usize,
        /// How many batches the step has.
        batches: usize,
        /// Tokens of the batch.
        tokens: usize,
    },
    /// Weights were changed.
    StepTaken(StepRecord),
    /// A line of the log: means since the line before.
    Logged(LogLine),
    /// The held-out examples were looked at.
    Evaluated(Evaluation),
    /// A checkpoint is whole on disk.
    CheckpointSaved {
        /// Its step.
        step: usize,
        /// Where it is.
        directory: PathBuf,
    },
    /// A checkpoint was removed, as `save_total_limit` asks, or because a better one has come.
    CheckpointRemoved {
        /// Where it was.
        directory: PathBuf,
    },
    /// Held-out loss has not improved for as long as patience lasts.
    StoppingEarly {
        /// The step it ends at.
        step: usize,
        /// Evaluations in a row without a better one.
        evaluations: usize,
        /// The best step.
        best_step: usize,
        /// Its held-out loss.
        best_loss: f64,
    },
    /// The best checkpoint's weights were taken back.
    BestLoaded {
        /// Its step.
        step: usize,
        /// Its held-out loss.
        loss: f64,
    },
    /// Something a reader should know.
    Warning(TrainingWarning),
    /// The model is written, or the run was interrupted.
    Finished(TrainingOutcome),
}

/// What is about to be done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainingPlan {
    /// Examples trained on.
    pub examples: usize,
    /// Examples held out.
    pub eval_examples: usize,
    /// Sequences, or rows of packed ones, in an epoch.
    pub rows: usize,
    /// Batches in an epoch.
    pub batches_per_epoch: usize,
    /// Steps in an epoch.
    pub steps_per_epoch: usize,
    /// Steps in all.
    pub steps: usize,
    /// Epochs begun.
    pub epochs: usize,
    /// Steps in which the learning rate rises.
    pub warmup_steps: usize,
    /// Tokens of an epoch.
    pub tokens_per_epoch: usize,
    /// How many of them are learnt.
    pub labelled_per_epoch: usize,
    /// Tokens of the batch with most.
    pub longest_batch: usize,
    /// Numbers that are trained.
    pub trained_values: usize,
    /// The step that is gone on from; 0 begins anew.
    pub resumed_at: usize,
    /// Tokens that were learnt up to there.
    pub resumed_labelled: usize,
}

/// A step that was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepRecord {
    /// Which, from 1.
    pub step: usize,
    /// Epochs done, with the fraction of the one under way.
    pub epoch: f64,
    /// Mean negative log likelihood of the step's labelled tokens, in nats, before weights changed.
    pub loss: f64,
    /// Norm of all gradients before clipping.
    pub grad_norm: f64,
    /// The learning rate that weights were changed with.
    pub learning_rate: f64,
    /// Tokens of the step.
    pub tokens: usize,
    /// How many of them are learnt.
    pub labelled: usize,
    /// How long the step took.
    pub duration: Duration,
}

/// A line of the log, with the values that transformers' `Trainer` logs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogLine {
    /// The step, from 1.
    pub step: usize,
    /// Epochs done, with the fraction of the one under way.
    pub epoch: f64,
    /// Mean of the steps' losses since the line before.
    pub loss: f64,
    /// The last step's norm of all gradients, before clipping.
    pub grad_norm: f64,
    /// The learning rate that the last step was taken with.
    pub learning_rate: f64,
    /// Tokens seen since training began, also before an interruption.
    pub tokens_seen: usize,
    /// Tokens since the line before.
    pub tokens: usize,
    /// How long those took.
    pub duration: Duration,
}

/// A look at the held-out examples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// The step after which it was.
    pub step: usize,
    /// Epochs done, with the fraction of the one under way.
    pub epoch: f64,
    /// Mean negative log likelihood of the labelled tokens, in nats.
    pub loss: f64,
    /// Labelled tokens.
    pub labelled: usize,
    /// Whether it is the lowest so far.
    pub is_best: bool,
    /// How long it took.
    pub duration: Duration,
}

/// Something a reader of the run should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrainingWarning {
    /// Examples without a labelled token teach nothing.
    Unlabelled {
        /// Which.
        ids: Vec<String>,
    },
    /// There are held-out examples, and no step at which they are looked at.
    NeverEvaluated,
    /// The best checkpoint is not there any more; the last weights were written instead.
    BestAbsent {
        /// Its step.
        step: usize,
    },
    /// The warm-up takes all steps or more, so that the learning rate never comes to its full height.
    WarmupTooLong {
        /// Steps of the warm-up.
        warmup_steps: usize,
        /// All steps.
        steps: usize,
    },
}

/// How a training run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingOutcome {
    /// Why it ended.
    pub ending: Ending,
    /// Steps taken, also before an interruption.
    pub steps: usize,
    /// Epochs done, with the fraction of the last.
    pub epoch: f64,
    /// Mean of all steps' losses.
    pub train_loss: f64,
    /// Tokens seen since training began, also before an interruption.
    pub tokens_seen: usize,
    /// The step with the lowest held-out loss, and that loss.
    pub best: Option<(usize, f64)>,
    /// The newest checkpoint.
    pub checkpoint: Option<PathBuf>,
    /// How long this run took, without what went before an interruption.
    pub duration: Duration,
}

/// Why training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All steps were taken.
    Complete,
    /// Held-out loss did not improve any more.
    StoppedEarly,
    /// It was asked to stop; a checkpoint has all that going on needs, and no model was written.
    Interrupted,
}
