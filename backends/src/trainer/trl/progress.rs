//! What a script prints, in the words that all trainers share.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use serde::Deserialize;
use shipworthy_schema::{
    TrainingEnding, TrainingEvent, TrainingMetrics, TrainingPlan, TrainingWarning,
};

use super::script::trl_version;
use crate::trainer::TrainError;

/// What every line of a script begins with.
const MARK: &str = "{\"shipworthy\": ";

/// A line of a script.
#[derive(Debug, Deserialize)]
#[serde(tag = "shipworthy", rename_all = "snake_case")]
enum Line {
    Prepared {
        versions: std::collections::BTreeMap<String, String>,
        trainable_parameters: u64,
        device: String,
        processes: u64,
    },
    Planned {
        steps: u64,
        epochs: f64,
    },
    Resumed {
        step: u64,
        path: String,
    },
    Step {
        step: u64,
        epoch: f64,
        loss: Option<f64>,
        grad_norm: Option<f64>,
        learning_rate: Option<f64>,
        tokens_per_second: Option<f64>,
        tokens_seen: Option<f64>,
        memory_bytes: Option<u64>,
    },
    Evaluated {
        step: u64,
        epoch: f64,
        eval_loss: Option<f64>,
        runtime_s: Option<f64>,
    },
    Saved {
        step: u64,
        path: String,
    },
    Kept {
        checkpoints: BTreeSet<String>,
    },
    Warned {
        what: String,
    },
    Ended {
        summary: Summary,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct Summary {
    ending: String,
    steps: u64,
    epoch: f64,
    train_loss: Option<f64>,
    eval_loss: Option<f64>,
    best: Option<Best>,
    train_runtime: Option<f64>,
    train_samples_per_second: Option<f64>,
    train_steps_per_second: Option<f64>,
    total_flos: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Best {
    eval_loss: Option<f64>,
}

/// Turns the lines of one run into events.
pub(super) struct Teller {
    plan: TrainingPlan,
    output: PathBuf,
    patience: u32,
    begun: Option<(Instant, u64)>,
    best: Option<f64>,
    checkpoints: BTreeSet<String>,
    tokens_seen: f64,
    last_step: u64,
    has_ended: bool,
}

impl Teller {
    pub(super) fn new(plan: TrainingPlan, output: PathBuf, patience: u32) -> Self {
        Self {
            plan,
            output,
            patience,
            begun: None,
            best: None,
            checkpoints: BTreeSet::new(),
            tokens_seen: 0.0,
            last_step: 0,
            has_ended: false,
        }
    }

    /// Tells whether the script said that all is done.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Tells what a line means, if it is meant for us; errors if the loss is not a number.
    pub(super) fn tell(
        &mut self,
        line: &str,
        observe: &mut dyn FnMut(TrainingEvent),
    ) -> Result<(), TrainError> {
        // Something else may have left its own line unfinished.
        let Some(line) = line.find(MARK).map(|start| &line[start..]) else {
            return Ok(());
        };
        let Ok(line) = serde_json::from_str::<Line>(line) else {
            return Ok(());
        };
        match line {
            Line::Prepared {
                versions,
                trainable_parameters,
                device,
                processes,
            } => {
                self.plan.trainable_parameters = trainable_parameters;
                self.plan.device = if processes > 1 {
                    format!("{processes} × {device}")
                } else {
                    device
                };
                let trl = versions.get("trl").map_or("none", String::as_str);
                if trl != trl_version() {
                    observe(warned(
                        format!(
                            "The script is written for TRL {}, and this Python has {trl}.",
                            trl_version()
                        ),
                        "Install the versions that the script's first lines list, or leave `python` out.",
                    ));
                }
            }
            Line::Planned { steps, epochs } => {
                self.plan.steps = steps;
                self.plan.epochs = epochs;
                self.begun = Some((Instant::now(), 0));
                observe(TrainingEvent::Planned {
                    plan: self.plan.clone(),
                });
            }
            Line::Resumed { step, path } => {
                self.begun = Some((Instant::now(), step));
                self.last_step = step;
                observe(TrainingEvent::Resumed { step, path });
            }
            Line::Step {
                step,
                epoch,
                loss,
                grad_norm,
                learning_rate,
                tokens_per_second,
                tokens_seen,
                memory_bytes,
            } => {
                let Some(loss) = loss else {
                    return Err(TrainError::NotFinite {
                        detail: format!(
                            "the loss at step {step} is not a number; lower `learning_rate`, or look at the data"
                        ),
                        examples: Vec::new(),
                    });
                };
                self.last_step = step;
                self.tokens_seen = tokens_seen.unwrap_or(self.tokens_seen);
                observe(TrainingEvent::StepLogged {
                    step,
                    epoch,
                    loss,
                    grad_norm,
                    learning_rate: learning_rate.unwrap_or_default(),
                    tokens_per_second,
                    memory_bytes,
                    seconds_left: self.seconds_left(step),
                });
            }
            Line::Evaluated {
                step,
                epoch,
                eval_loss: Some(eval_loss),
                runtime_s,
            } => {
                let is_best = self.best.is_none_or(|best| eval_loss < best);
                if is_best {
                    self.best = Some(eval_loss);
                }
                let eval = self.plan.eval_data.as_ref();
                observe(TrainingEvent::Evaluated {
                    step,
                    epoch,
                    eval_loss,
                    examples: eval.map_or(0, |data| data.examples),
                    labelled_tokens: eval.map_or(0, |data| data.labelled_tokens),
                    runtime_s: runtime_s.unwrap_or_default(),
                    is_best,
                });
            }
            Line::Saved { step, path } => {
                self.checkpoints.insert(path.clone());
                observe(TrainingEvent::CheckpointSaved {
                    step,
                    path: self.path(&path),
                });
            }
            Line::Kept { checkpoints } => {
                let removed: Vec<String> =
                    self.checkpoints.difference(&checkpoints).cloned().collect();
                for name in removed {
                    let step = name.rsplit('-').next().and_then(|step| step.parse().ok());
                    observe(TrainingEvent::CheckpointRemoved {
                        step: step.unwrap_or(0),
                        path: self.path(&name),
                    });
                    self.checkpoints.remove(&name);
                }
            }
            Line::Warned { what } => observe(warned(what, "")),
            Line::Ended { summary } => {
                self.has_ended = true;
                observe(self.ended(summary));
            }
            Line::Evaluated { .. } | Line::Other => {}
        }
        Ok(())
    }

    /// Returns the event of a run that was ended before the script could say so.
    pub(super) fn cut_short(&self) -> TrainingEvent {
        TrainingEvent::Ended {
            ending: TrainingEnding::Interrupted {
                checkpoint: self.latest_checkpoint(),
            },
            metrics: TrainingMetrics {
                global_step: self.last_step,
                ..TrainingMetrics::default()
            },
        }
    }

    /// Tells of a run whose end was not heard; `summary` is what it wrote beside the weights.
    pub(super) fn conclude(
        &mut self,
        summary: Option<&str>,
        observe: &mut dyn FnMut(TrainingEvent),
    ) {
        self.has_ended = true;
        let summary = summary.and_then(|text| serde_json::from_str::<Summary>(text).ok());
        observe(match summary {
            Some(summary) => self.ended(summary),
            None => TrainingEvent::Ended {
                ending: TrainingEnding::Finished,
                metrics: TrainingMetrics {
                    global_step: self.last_step,
                    ..TrainingMetrics::default()
                },
            },
        });
    }

    fn path(&self, name: &str) -> String {
        self.output.join(name).display().to_string()
    }

    fn latest_checkpoint(&self) -> Option<String> {
        let step = |name: &&String| {
            let step = name.rsplit('-').next()?;
            step.parse::<u64>().ok()
        };
        self.checkpoints.iter().max_by_key(step).cloned()
    }

    fn seconds_left(&self, step: u64) -> Option<f64> {
        let (begun, first) = self.begun?;
        let done = step.checked_sub(first).filter(|&done| done > 0)?;
        let left = self.plan.steps.saturating_sub(step) as f64;
        Some(begun.elapsed().as_secs_f64() / done as f64 * left)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "numbers of tokens"
    )]
    fn ended(&self, summary: Summary) -> TrainingEvent {
        let kept = summary.best.and_then(|best| best.eval_loss);
        // The script counts tokens that go in; how many were learnt follows from the passes.
        let labelled = self.plan.data.labelled_tokens as f64 * summary.epoch;
        TrainingEvent::Ended {
            ending: match summary.ending.as_str() {
                "interrupted" => TrainingEnding::Interrupted {
                    checkpoint: self.latest_checkpoint(),
                },
                "early_stopping" => TrainingEnding::EarlyStopping {
                    patience: self.patience,
                },
                _ => TrainingEnding::Finished,
            },
            metrics: TrainingMetrics {
                global_step: summary.steps,
                epoch: summary.epoch,
                train_loss: summary.train_loss,
                eval_loss: kept.or(summary.eval_loss),
                train_runtime: summary.train_runtime.unwrap_or_default(),
                train_samples_per_second: summary.train_samples_per_second,
                train_steps_per_second: summary.train_steps_per_second,
                train_tokens_per_second: None,
                num_input_tokens_seen: self.tokens_seen as u64,
                num_labelled_tokens_seen: labelled.round() as u64,
                total_flos: summary.total_flos,
            },
        }
    }
}

fn warned(what: String, mend: &str) -> TrainingEvent {
    TrainingEvent::Warned {
        warning: TrainingWarning::Other {
            what,
            mend: mend.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use shipworthy_schema::{TokenCounts, TrainingDataReport};

    use super::*;

    fn plan() -> TrainingPlan {
        TrainingPlan {
            steps: 9,
            epochs: 1.0,
            batches_per_epoch: 4,
            gradient_accumulation_steps: 2,
            data: TrainingDataReport {
                examples: 4,
                tokens: TokenCounts::default(),
                labelled_tokens: 76,
                examples_lost: 0,
                examples_truncated: 0,
                tokens_lost: 0,
                packed_rows: None,
            },
            eval_data: None,
            trainable_parameters: 0,
            total_parameters: 10,
            device: String::new(),
            capacity_bytes: None,
            memory: Vec::new(),
            predicted_peak_bytes: 0,
        }
    }

    fn told(lines: &[&str]) -> (Vec<TrainingEvent>, Result<(), TrainError>, Teller) {
        let mut teller = Teller::new(plan(), PathBuf::from("out"), 3);
        let mut events = Vec::new();
        let tell = |line: &&str| teller.tell(line, &mut |event| events.push(event));
        let outcome = lines.iter().try_for_each(tell);
        (events, outcome, teller)
    }

    /// What a script printed, with what others wrote between.
    const RUN: [&str; 9] = [
        "Resolved 74 packages in 4.64s",
        r#"{"shipworthy": "starting"}"#,
        r#"Map: 50%|##   {"shipworthy": "prepared", "versions": {"trl": "1.15.0"}, "data": {}, "trainable_parameters": 3712, "device": "cpu", "processes": 1}"#,
        r#"{"shipworthy": "planned", "steps": 4, "epochs": 2.0}"#,
        r#"{"shipworthy": "step", "step": 1, "epoch": 0.5, "loss": 6.25, "grad_norm": 1.1, "learning_rate": 0.0, "tokens_per_second": 605.8, "tokens_seen": 115.0, "memory_bytes": 991563776}"#,
        r#"{"shipworthy": "saved", "step": 2, "path": "checkpoint-2"}"#,
        r#"{"shipworthy": "kept", "checkpoints": []}"#,
        r#"{"shipworthy": "something new", "of": "later"}"#,
        r#"{"shipworthy": "ended", "summary": {"ending": "finished", "steps": 4, "epoch": 2.0, "train_loss": 6.19, "best": null, "train_runtime": 0.6}}"#,
    ];

    #[test]
    fn lines_become_events() {
        let (events, outcome, teller) = told(&RUN);
        outcome.unwrap();
        assert!(teller.has_ended());
        let kinds: Vec<String> = events
            .iter()
            .map(|event| serde_json::to_value(event).unwrap()["event"].to_string())
            .collect();
        let expected = [
            "warned",
            "planned",
            "step_logged",
            "checkpoint_saved",
            "checkpoint_removed",
            "ended",
        ];
        assert_eq!(kinds, expected.map(|kind| format!("\"{kind}\"")));
        let TrainingEvent::Planned { plan } = &events[1] else {
            panic!("{events:?}");
        };
        assert_eq!((plan.steps, plan.trainable_parameters), (4, 3712));
        let TrainingEvent::Ended { metrics, .. } = &events[5] else {
            panic!("{events:?}");
        };
        assert_eq!(metrics.num_input_tokens_seen, 115);
        assert_eq!(metrics.num_labelled_tokens_seen, 152);
    }

    #[test]
    fn a_loss_that_is_no_number_is_an_error() {
        let line = r#"{"shipworthy": "step", "step": 7, "epoch": 1.0, "loss": null}"#;
        let (events, outcome, _) = told(&[line]);
        assert!(events.is_empty());
        let TrainError::NotFinite { detail, .. } = outcome.unwrap_err() else {
            panic!();
        };
        assert!(detail.contains("step 7"), "{detail}");
    }

    #[test]
    fn who_is_cut_short_goes_on_from_the_latest_checkpoint() {
        let saved = |step: u64| {
            format!(r#"{{"shipworthy": "saved", "step": {step}, "path": "checkpoint-{step}"}}"#)
        };
        let (two, ten) = (saved(2), saved(10));
        let (_, _, teller) = told(&[&two, &ten, "{\"shipworthy\": broken"]);
        let TrainingEvent::Ended { ending, .. } = teller.cut_short() else {
            panic!();
        };
        let checkpoint = Some("checkpoint-10".to_owned());
        assert_eq!(ending, TrainingEnding::Interrupted { checkpoint });
    }
}
