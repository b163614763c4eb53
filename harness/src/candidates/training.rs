use std::io::ErrorKind;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use shipworthy_backends::trainer::{Resume, TrainError};
use shipworthy_schema::finetune::TrainerKind;
use shipworthy_schema::{
    CandidateState, CandidateStep, CandidateTraining, Digest, TrainingEnding, TrainingReport,
    TrainingWarning,
};

use super::error::{LoopError, Setback};
use super::making::{LoopEvent, Making, TRAINED};
use crate::tuning::{
    Preflight, RunWatch, TuningConfig, TuningError, finished, run, weights_digest,
};

pub(super) const STEP: CandidateStep = CandidateStep::Training;

/// A candidate's weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// What names them.
    pub weights: Digest,
    /// How training went.
    pub training: CandidateTraining,
}

/// What the store keeps of a training.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stored {
    Trained(Trained),
    Failed(CandidateState),
    /// As the last, under this Python of the configuration's.
    FailedUnder {
        state: CandidateState,
        python: Option<PathBuf>,
    },
}

impl Making<'_> {
    /// Trains the candidate, or goes on with that, or returns what it came to.
    pub fn train(&mut self) -> Result<Trained, Setback> {
        let key = &self.recipe.key;
        let output = self.trained_directory();
        let store = &self.project.store;
        match store.step(key, STEP, key)? {
            Some(Stored::Failed(state)) if !self.is_retried() => {
                return Err(Setback::OfCandidate(state));
            }
            // Another Python may do better; what is recalled is not tried.
            Some(Stored::FailedUnder { state, python })
                if !self.is_retried()
                    && (python == self.python() || self.check_begin().is_err()) =>
            {
                return Err(Setback::OfCandidate(state));
            }
            // Weights that somebody removed are made again.
            Some(Stored::Trained(trained)) if finished(&output).is_ok_and(|it| it.is_some()) => {
                return Ok(trained);
            }
            _ => {}
        }
        // It may have ended just before it was entered.
        let report = match self.located(finished(&output))? {
            Some(report) => report,
            None => self.train_now(&output)?,
        };
        let trained = Trained {
            weights: weights_digest(&report),
            training: summary(&report),
        };
        store.put_step(key, STEP, key, &Stored::Trained(trained.clone()))?;
        Ok(trained)
    }

    /// Returns the Python that trains, where one does that the configuration names.
    fn python(&self) -> Option<PathBuf> {
        let opened = &self.recipe.config.opened;
        let python = opened.python.clone();
        python.filter(|_| opened.trainer == TrainerKind::Trl)
    }

    /// Tells whether it was entered once what training came to.
    pub(super) fn is_entered(&self) -> bool {
        let key = &self.recipe.key;
        let entered = self.project.store.step(key, STEP, key);
        matches!(entered, Ok::<Option<Stored>, _>(Some(_)))
    }

    fn train_now(&mut self, output: &Path) -> Result<TrainingReport, Setback> {
        self.check_begin()?;
        self.check_halt()?;
        if let Some(what) = self.stopwatch.exhausted() {
            return Err(Setback::OfCandidate(CandidateState::OutOfBudget {
                step: STEP,
                what,
            }));
        }
        self.begun(STEP);
        self.stopwatch.training(true)?;
        let trained = match self.recipe.config.opened.trainer {
            TrainerKind::HfJobs => self.train_at_hub(output),
            _ => self.train_here(output),
        };
        self.stopwatch.training(false)?;
        if self.project.halt.reason().is_none() {
            // It was this candidate's time that was over.
            self.project.stop.store(false, Ordering::Relaxed);
        }
        trained
    }

    fn train_here(&mut self, output: &Path) -> Result<TrainingReport, Setback> {
        let mut trained = self.run_training(output, resume(output));
        if let Err(TuningError::Train(TrainError::Resume { .. })) = &trained {
            // What is there cannot be gone on from, e.g. because the process died while it was written.
            trained = self.run_training(output, Resume::Anew);
        }
        match trained {
            Ok(report) => self.ended(report),
            Err(error) => Err(self.failed(error)?),
        }
    }

    fn run_training(
        &mut self,
        output: &Path,
        resume: Resume,
    ) -> Result<TrainingReport, TuningError> {
        if resume == Resume::Anew {
            remove(output)?;
        }
        let preflight = self.preflight(output, resume)?;
        let observer = self.observer;
        let project = self.project;
        let stopwatch = &mut self.stopwatch;
        let mut observe = |event: &_| {
            observer.tell(&LoopEvent::Training { event });
            // A store that fails shows at the next step, when nothing of the training is lost.
            let is_over = matches!(stopwatch.tick(), Ok(Some(_)));
            if is_over || project.halt.reason().is_some() {
                project.stop.store(true, Ordering::Relaxed);
            }
        };
        let mut watch = RunWatch {
            observe: &mut observe,
            stop: project.stop,
            wall_time: project.wall_time,
        };
        // A trainer with a mistake of ours must not cost the other candidates their turn.
        let ran = std::panic::catch_unwind(AssertUnwindSafe(|| run(preflight, &mut watch)));
        ran.unwrap_or_else(|_| {
            Err(TuningError::Train(TrainError::Computation {
                detail: "the trainer failed by a mistake of its own".to_owned(),
            }))
        })
    }

    /// Finds out all that can be known before the first step.
    pub(super) fn preflight(
        &self,
        output: &Path,
        resume: Resume,
    ) -> Result<Preflight, TuningError> {
        let written = self.recipe.directory().join(TRAINED);
        let config: TuningConfig = self.recipe.config.clone();
        let preflight = Preflight::new(
            config.into_directory(written, output.to_owned()),
            Some(resume),
        )?;
        let steps = preflight.plan.steps;
        self.observer.tell(&LoopEvent::Planned { steps });
        Ok(preflight)
    }

    /// Looks how a training ended that did not fail.
    fn ended(&self, report: TrainingReport) -> Result<TrainingReport, Setback> {
        if !matches!(report.ending, TrainingEnding::Interrupted { .. }) {
            return Ok(report);
        }
        self.check_halt()?;
        let what = self.stopwatch.exhausted();
        let what = what.unwrap_or_else(|| "time".to_owned());
        Err(Setback::OfCandidate(CandidateState::OutOfBudget {
            step: STEP,
            what,
        }))
    }

    /// Tells a candidate's failure, which is entered, from everybody's.
    pub(super) fn failed(&self, error: TuningError) -> Result<Setback, LoopError> {
        if let TuningError::Left { .. } = error {
            return Ok(self.of_training(error).into());
        }
        if self.project.halt.reason().is_some() {
            return Ok(LoopError::Interrupted.into());
        }
        if is_everybodys(&error) {
            return Ok(self.of_training(error).into());
        }
        let error = match &error {
            TuningError::Train(TrainError::NotFinite { .. }) => CandidateState::Diverged {
                error: error.to_string(),
            },
            _ => CandidateState::Failed {
                step: STEP,
                error: error.to_string(),
            },
        };
        let key = &self.recipe.key;
        let stored = Stored::FailedUnder {
            state: error.clone(),
            python: self.python(),
        };
        self.project.store.put_step(key, STEP, key, &stored)?;
        Ok(Setback::OfCandidate(error))
    }

    pub(super) fn located<T>(&self, result: Result<T, TuningError>) -> Result<T, Setback> {
        result.map_err(|error| self.of_training(error).into())
    }

    pub(super) fn of_training(&self, source: TuningError) -> LoopError {
        LoopError::Training {
            name: self.recipe.name.clone(),
            source: Box::new(source),
        }
    }
}

/// Tells whether another candidate would most likely fail as well, or this one not another time: a full
/// disk, a build without the trainer.
fn is_everybodys(error: &TuningError) -> bool {
    match error {
        TuningError::Write(_)
        | TuningError::Busy { .. }
        | TuningError::Output { .. }
        | TuningError::Digest { .. }
        | TuningError::Remote(_)
        | TuningError::Lost { .. }
        | TuningError::JobUnderWay { .. }
        | TuningError::JobFile { .. }
        | TuningError::Train(TrainError::InputOutput { .. } | TrainError::NotBuilt { .. }) => true,
        TuningError::Setting { source, .. } => matches!(source, TrainError::NotBuilt { .. }),
        TuningError::Read { source, .. } => source.kind() != ErrorKind::NotFound,
        _ => false,
    }
}

/// Removes a directory of the loop's own, if it is there: what is in it ends before the first checkpoint.
pub(super) fn remove(output: &Path) -> Result<(), TuningError> {
    if !output.exists() {
        return Ok(());
    }
    std::fs::remove_dir_all(output).map_err(|source| {
        TuningError::Train(TrainError::InputOutput {
            detail: format!("failed to remove `{}`", output.display()),
            source,
        })
    })
}

/// Says what there is to go on from.
fn resume(output: &Path) -> Resume {
    let entries = std::fs::read_dir(output).into_iter().flatten().flatten();
    let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    // One that was about to be replaced has a dot before its name.
    let is_checkpoint = |name: String| name.trim_start_matches('.').starts_with("checkpoint-");
    if names.any(is_checkpoint) {
        Resume::Latest
    } else {
        Resume::Anew
    }
}

fn summary(report: &TrainingReport) -> CandidateTraining {
    CandidateTraining {
        steps: report.metrics.global_step,
        epochs: report.metrics.epoch,
        loss: report.log.iter().rev().find_map(|entry| entry.loss),
        eval_loss: report.best.as_ref().map(|best| best.eval_loss),
        best_step: report.best.as_ref().map(|best| best.step),
        // Others depend on the machine, or on when a process began.
        warnings: (report.warnings.iter())
            .filter(|warning| is_of_losses(warning))
            .cloned()
            .collect(),
    }
}

fn is_of_losses(warning: &TrainingWarning) -> bool {
    matches!(
        warning,
        TrainingWarning::HighLoss { .. }
            | TrainingWarning::OverfittingRisk { .. }
            | TrainingWarning::ZeroLoss { .. }
            | TrainingWarning::LossNotFalling { .. }
            | TrainingWarning::EvalLossRising { .. }
    )
}
