//! The native trainer's events in the words all trainers share.

use std::time::Duration;

use shipworthy_native::{
    Ending, TrainingEvent as NativeEvent, TrainingOutcome, TrainingPlan as NativePlan,
    TrainingWarning as NativeWarning,
};
use shipworthy_schema::{
    TrainingEnding, TrainingEvent, TrainingMetrics, TrainingPlan, TrainingWarning,
};

use super::peak_memory;

/// What the processor is called as a device.
pub(super) const HOST: &str = "cpu";

/// Turns events of one run into those of the trait.
pub(super) struct Teller {
    plan: TrainingPlan,
    native: Option<NativePlan>,
    patience: u32,
    /// The checkpoint that is gone on from.
    resumed_from: Option<String>,
    eval_loss: Option<f64>,
    labelled: u64,
    steps_here: u64,
    seconds_here: f64,
}

impl Teller {
    pub(super) fn new(plan: TrainingPlan, patience: u32, resumed_from: Option<String>) -> Self {
        Self {
            plan,
            native: None,
            patience,
            resumed_from,
            eval_loss: None,
            labelled: 0,
            steps_here: 0,
            seconds_here: 0.0,
        }
    }

    /// Tells what an event means, in order.
    pub(super) fn tell(&mut self, event: NativeEvent, observe: &mut dyn FnMut(TrainingEvent)) {
        match event {
            NativeEvent::Planned(plan) => self.planned(plan, observe),
            NativeEvent::StepTaken(step) => {
                self.labelled += step.labelled as u64;
                self.steps_here += 1;
                self.seconds_here += step.duration.as_secs_f64();
            }
            NativeEvent::Logged(line) => observe(TrainingEvent::StepLogged {
                step: line.step as u64,
                epoch: line.epoch,
                loss: line.loss,
                grad_norm: Some(line.grad_norm),
                learning_rate: line.learning_rate,
                tokens_per_second: per_second(line.tokens as f64, line.duration),
                memory_bytes: self.peak(),
                seconds_left: self.seconds_left(line.step as u64),
            }),
            NativeEvent::Evaluated(evaluation) => {
                self.eval_loss = Some(evaluation.loss);
                observe(TrainingEvent::Evaluated {
                    step: evaluation.step as u64,
                    epoch: evaluation.epoch,
                    eval_loss: evaluation.loss,
                    examples: self.native.map_or(0, |plan| plan.eval_examples as u64),
                    labelled_tokens: evaluation.labelled as u64,
                    runtime_s: evaluation.duration.as_secs_f64(),
                    is_best: evaluation.is_best,
                });
            }
            NativeEvent::CheckpointSaved { step, directory } => {
                observe(TrainingEvent::CheckpointSaved {
                    step: step as u64,
                    path: directory.display().to_string(),
                });
            }
            NativeEvent::CheckpointRemoved { directory } => {
                let path = directory.display().to_string();
                let step = path.rsplit('-').next().and_then(|step| step.parse().ok());
                observe(TrainingEvent::CheckpointRemoved {
                    step: step.unwrap_or(0),
                    path,
                });
            }
            NativeEvent::CheckpointSkipped(fault) => observe(warned(
                format!("{fault}; it is passed over."),
                "Remove it if it is not needed.",
            )),
            NativeEvent::Warning(warning) => observe(warning_of(&warning)),
            NativeEvent::BestLoaded { loss, .. } => self.eval_loss = Some(loss),
            NativeEvent::Finished(outcome) => observe(self.ended(&outcome)),
            NativeEvent::LongestBatchPassed { .. }
            | NativeEvent::BatchPassed { .. }
            | NativeEvent::StoppingEarly { .. } => {}
        }
    }

    fn planned(&mut self, plan: NativePlan, observe: &mut dyn FnMut(TrainingEvent)) {
        self.native = Some(plan);
        self.labelled = plan.resumed_labelled as u64;
        self.plan.steps = plan.steps as u64;
        self.plan.batches_per_epoch = plan.batches_per_epoch as u64;
        self.plan.epochs = plan.steps as f64 / plan.steps_per_epoch.max(1) as f64;
        self.plan.trainable_parameters = plan.trained_values as u64;
        observe(TrainingEvent::Planned {
            plan: self.plan.clone(),
        });
        if plan.resumed_at > 0 {
            observe(TrainingEvent::Resumed {
                step: plan.resumed_at as u64,
                path: self.resumed_from.clone().unwrap_or_default(),
            });
        }
    }

    fn peak(&self) -> Option<u64> {
        // A card's memory is not the process's.
        let is_host = self.plan.device == HOST;
        is_host.then(peak_memory::process_peak).flatten()
    }

    fn seconds_left(&self, step: u64) -> Option<f64> {
        let left = self.plan.steps.saturating_sub(step) as f64;
        (self.steps_here > 0).then(|| self.seconds_here / self.steps_here as f64 * left)
    }

    fn ended(&self, outcome: &TrainingOutcome) -> TrainingEvent {
        let seconds = outcome.duration.as_secs_f64();
        let plan = self.native;
        let begun_at = plan.map_or(0, |plan| plan.resumed_at);
        let steps = outcome.steps.saturating_sub(begun_at) as f64;
        let examples = plan.map_or(0.0, |plan| {
            plan.examples as f64 * steps / plan.steps_per_epoch.max(1) as f64
        });
        let tokens = plan.map_or(0.0, |plan| {
            plan.tokens_per_epoch as f64 * steps / plan.steps_per_epoch.max(1) as f64
        });
        TrainingEvent::Ended {
            ending: match outcome.ending {
                Ending::Complete => TrainingEnding::Finished,
                Ending::StoppedEarly => TrainingEnding::EarlyStopping {
                    patience: self.patience,
                },
                Ending::Interrupted => TrainingEnding::Interrupted {
                    checkpoint: outcome
                        .checkpoint
                        .as_ref()
                        .and_then(|path| path.file_name())
                        .map(|name| name.to_string_lossy().into_owned()),
                },
            },
            metrics: TrainingMetrics {
                global_step: outcome.steps as u64,
                epoch: outcome.epoch,
                train_loss: (outcome.steps > 0).then_some(outcome.train_loss),
                eval_loss: outcome.best.map(|(_, loss)| loss).or(self.eval_loss),
                train_runtime: seconds,
                train_samples_per_second: per_second(examples, outcome.duration),
                train_steps_per_second: per_second(steps, outcome.duration),
                train_tokens_per_second: per_second(tokens, outcome.duration),
                num_input_tokens_seen: outcome.tokens_seen as u64,
                num_labelled_tokens_seen: self.labelled,
                total_flos: None,
            },
        }
    }
}

fn per_second(amount: f64, duration: Duration) -> Option<f64> {
    let seconds = duration.as_secs_f64();
    (seconds > 0.0).then(|| amount / seconds)
}

fn warned(what: String, mend: &str) -> TrainingEvent {
    TrainingEvent::Warned {
        warning: TrainingWarning::Other {
            what,
            mend: mend.to_owned(),
        },
    }
}

fn warning_of(warning: &NativeWarning) -> TrainingEvent {
    match warning {
        NativeWarning::Unlabelled { ids } => warned(
            format!(
                "{} examples have no labelled token and teach nothing, the first {}.",
                ids.len(),
                ids.first().map_or("", String::as_str)
            ),
            "Give them a reply, or take them out.",
        ),
        NativeWarning::NeverEvaluated => warned(
            "The held-out examples are never looked at: training ends before.".to_owned(),
            "Lower eval_steps.",
        ),
        NativeWarning::BestAbsent { step } => warned(
            format!(
                "The checkpoint of the best step, {step}, is gone; the last weights were written \
                 instead."
            ),
            "Keep more checkpoints with save_total_limit, and leave them alone.",
        ),
        NativeWarning::WarmupTooLong {
            warmup_steps,
            steps,
        } => warned(
            format!(
                "The warm-up takes {warmup_steps} of {steps} steps, so the learning rate never \
                 comes to its full height."
            ),
            "Lower warmup_steps or warmup_ratio.",
        ),
    }
}
