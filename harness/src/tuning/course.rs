use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use shipworthy_backends::trainer::TrainError;
use shipworthy_schema::finetune::TrainerKind;
use shipworthy_schema::{
    BestStep, MemoryPart, MemoryReport, MemoryUse, TrainerVersion, TrainingEnding, TrainingEvent,
    TrainingMetrics, TrainingPlan, TrainingReport, TrainingWarning,
};

use super::config_file::TuningConfig;
use super::error::TuningError;
use super::origins::Origins;
use super::output_files::{self, CONFIG};
use super::training_records::TrainingRecords;
use super::training_times::TrainingTimes;
use super::warnings;
use crate::run_directory::{WriteError, write_file};

/// What a run has told so far, and what it is about.
pub(super) struct Course {
    pub(super) config: TuningConfig,
    pub(super) origins: Origins,
    plan: TrainingPlan,
    trainer: TrainerVersion,
    warnings: Vec<TrainingWarning>,
    records: Option<TrainingRecords>,
    best: Option<BestStep>,
    /// Checkpoints on disk: step and name.
    checkpoints: Vec<(u64, String)>,
    measured_bytes: Option<u64>,
    ended: Option<(TrainingEnding, TrainingMetrics)>,
    times: TrainingTimes,
    /// When this process began to train, in seconds since 1970.
    begun_s: Option<f64>,
    /// How long the processes before this one took; none if it is not known.
    earlier_s: Option<f64>,
}

impl Course {
    /// Begins with what is known before the first step.
    pub(super) fn new(
        config: TuningConfig,
        origins: Origins,
        plan: TrainingPlan,
        trainer: TrainerVersion,
        warnings: Vec<TrainingWarning>,
    ) -> Self {
        Self {
            origins,
            plan,
            trainer,
            warnings,
            records: None,
            best: None,
            checkpoints: Vec::new(),
            measured_bytes: None,
            ended: None,
            times: TrainingTimes::default(),
            begun_s: None,
            earlier_s: Some(0.0),
            config,
        }
    }

    /// Keeps what an event tells; `wall_time_s`: seconds since 1970.
    pub(super) fn record(
        &mut self,
        event: &TrainingEvent,
        wall_time_s: f64,
    ) -> Result<(), WriteError> {
        let whole = self.of_all_processes(event);
        let event = whole.as_ref().unwrap_or(event);
        match event {
            TrainingEvent::Planned { plan } => {
                self.begun_s.get_or_insert(wall_time_s);
                self.plan = plan.clone();
                // The trainer has taken the output directory for its own.
                self.write_config()?;
            }
            TrainingEvent::Resumed { step, path } => {
                self.begin(wall_time_s, Some(*step))?;
                self.find_best();
                self.find_peak();
                self.times = TrainingTimes::beside(Path::new(path));
                self.times.go_back_to(*step);
                self.earlier_s = self.times.up_to(*step);
            }
            TrainingEvent::StepLogged { memory_bytes, .. } => {
                self.measured_bytes = self.measured_bytes.max(*memory_bytes);
            }
            TrainingEvent::Evaluated {
                step,
                epoch,
                eval_loss,
                is_best: true,
                ..
            } => {
                self.best = Some(BestStep {
                    step: *step,
                    epoch: *epoch,
                    eval_loss: *eval_loss,
                    checkpoint: None,
                });
            }
            TrainingEvent::CheckpointSaved { step, path } => {
                self.checkpoints.push((*step, file_name(path)));
                self.note_time(*step, wall_time_s)?;
            }
            TrainingEvent::CheckpointRemoved { path, .. } => {
                let removed = file_name(path);
                self.checkpoints.retain(|(_, name)| *name != removed);
            }
            TrainingEvent::Warned { warning } => self.warnings.push(warning.clone()),
            TrainingEvent::Ended { ending, metrics } => {
                self.ended = Some((ending.clone(), metrics.clone()));
            }
            TrainingEvent::Evaluated { .. } => {}
        }
        if let Some(entry) = event.log_entry() {
            self.begin(wall_time_s, None)?;
            let records = self.records.as_mut().expect("they have begun");
            records.add(entry, wall_time_s)?;
        }
        Ok(())
    }

    /// Writes the records of a run that ended, and returns its report.
    pub(super) fn finish(mut self) -> Result<TrainingReport, TuningError> {
        let (ending, metrics) = self.ended.take().ok_or_else(|| TrainError::Computation {
            detail: "the trainer did not say how it ended".to_owned(),
        })?;
        self.write_report(ending, metrics)
    }

    /// Writes the records of a run that failed, if it came to have any.
    pub(super) fn fail(&mut self, error: &TrainError) -> Result<(), TuningError> {
        let Some(last) = self
            .records
            .as_ref()
            .and_then(|records| records.entries().last())
        else {
            return Ok(());
        };
        let metrics = TrainingMetrics {
            global_step: last.step,
            epoch: last.epoch,
            ..TrainingMetrics::default()
        };
        let ending = TrainingEnding::Failed {
            error: error.to_string(),
            example: match error {
                TrainError::NotFinite { examples, .. } => examples.first().cloned(),
                _ => None,
            },
        };
        self.write_report(ending, metrics).map(drop)
    }

    fn write_report(
        &mut self,
        ending: TrainingEnding,
        metrics: TrainingMetrics,
    ) -> Result<TrainingReport, TuningError> {
        let output = self.output().to_owned();
        let log = self
            .records
            .as_ref()
            .map_or_else(Vec::new, |records| records.entries().to_vec());
        if let Some(best) = &mut self.best {
            let saved = self.checkpoints.iter().find(|(step, _)| *step == best.step);
            best.checkpoint = saved.map(|(_, name)| name.clone());
        }
        let mut warnings = self.warnings.clone();
        warnings.extend(warnings::after(
            &log,
            &metrics,
            self.config.written.objective,
            self.plan.predicted_peak_bytes,
            self.measured_bytes,
        ));
        let report = TrainingReport {
            format: TrainingReport::FORMAT,
            trainer: self.trainer.clone(),
            output_dir: self.config.written.output_dir.display().to_string(),
            config: self.config_map(),
            base: self.origins.base.clone(),
            dataset: self.origins.dataset.clone(),
            eval_dataset: self.origins.eval_dataset.clone(),
            data: self.plan.data.clone(),
            eval_data: self.plan.eval_data.clone(),
            trainable_parameters: self.plan.trainable_parameters,
            total_parameters: self.plan.total_parameters,
            ending,
            metrics,
            best: self.best.clone(),
            log,
            memory: self.memory(),
            warnings,
            artefacts: output_files::artefacts(&output)?,
        };
        output_files::write(&output, &report, self.origins.init_adapter.clone())?;
        Ok(report)
    }

    fn memory(&self) -> MemoryReport {
        let part = |part: &MemoryPart| MemoryUse {
            part: part.part.clone(),
            predicted_bytes: Some(part.bytes),
            measured_bytes: None,
        };
        MemoryReport {
            device: self.plan.device.clone(),
            capacity_bytes: self.plan.capacity_bytes,
            parts: self.plan.memory.iter().map(part).collect(),
            predicted_peak_bytes: self.plan.predicted_peak_bytes,
            measured_peak_bytes: self.measured_bytes,
        }
    }

    fn output(&self) -> &Path {
        &self.config.opened.output_dir
    }

    fn begin(&mut self, wall_time_s: f64, resumed_at: Option<u64>) -> Result<(), WriteError> {
        if self.records.is_none() {
            let begun = TrainingRecords::begin(self.output(), wall_time_s, resumed_at)?;
            self.records = Some(begun);
        }
        Ok(())
    }

    /// Notes how long it took to come to a checkpoint of this machine.
    fn note_time(&mut self, step: u64, wall_time_s: f64) -> Result<(), WriteError> {
        let opened = &self.config.opened;
        let (Some(earlier), Some(begun)) = (self.earlier_s, self.begun_s) else {
            return Ok(());
        };
        if opened.trainer == TrainerKind::HfJobs {
            return Ok(());
        }
        // A clock may be set back.
        let seconds = earlier + (wall_time_s - begun).max(0.0);
        self.times.add(step, seconds, &opened.output_dir)
    }

    /// Returns the end of a run that was gone on with, its time and rates those of all its processes: trainers
    /// count steps and tokens from the first, and time from where they began.
    fn of_all_processes(&self, event: &TrainingEvent) -> Option<TrainingEvent> {
        let TrainingEvent::Ended { ending, metrics } = event else {
            return None;
        };
        let earlier = self.earlier_s.filter(|seconds| *seconds > 0.0)?;
        let seconds = earlier + metrics.train_runtime;
        let examples = self.plan.data.examples as f64 * metrics.epoch;
        let tokens = metrics.num_input_tokens_seen as f64;
        let metrics = TrainingMetrics {
            train_runtime: seconds,
            train_samples_per_second: Some(examples / seconds),
            train_steps_per_second: Some(metrics.global_step as f64 / seconds),
            train_tokens_per_second: (tokens > 0.0).then(|| tokens / seconds),
            ..metrics.clone()
        };
        Some(TrainingEvent::Ended {
            ending: ending.clone(),
            metrics,
        })
    }

    /// Finds the peak that the processes before this one measured.
    fn find_peak(&mut self) {
        let entries = self.records.iter().flat_map(TrainingRecords::entries);
        let peak = entries.filter_map(|entry| entry.memory_bytes).max();
        self.measured_bytes = self.measured_bytes.max(peak);
    }

    /// Finds the best evaluation of the processes before this one.
    fn find_best(&mut self) {
        let entries = self.records.iter().flat_map(TrainingRecords::entries);
        let evaluated = entries.filter_map(|entry| Some((entry, entry.eval_loss?)));
        let best = evaluated.min_by(|(_, one), (_, other)| one.total_cmp(other));
        self.best = best.map(|(entry, eval_loss)| BestStep {
            step: entry.step,
            epoch: entry.epoch,
            eval_loss,
            checkpoint: None,
        });
    }

    /// Writes the configuration as resolved.
    pub(super) fn write_config(&self) -> Result<(), WriteError> {
        let path = self.output().join(CONFIG);
        let config = self.config.for_output().map_err(|source| WriteError {
            path: path.clone(),
            source,
        })?;
        write_file(&path, &config.to_yaml())
    }

    fn config_map(&self) -> Map<String, Value> {
        self.config.written.to_map()
    }
}

fn file_name(path: &str) -> String {
    let name = PathBuf::from(path);
    let name = name.file_name().map(|name| name.to_string_lossy());
    name.map_or_else(|| path.to_owned(), std::borrow::Cow::into_owned)
}
