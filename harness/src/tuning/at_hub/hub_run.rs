use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shipworthy_schema::{TrainerVersion, TrainingPlan, TrainingWarning};

use crate::remote_job::RemoteJob;
use crate::run_directory::write_file;
use crate::tuning::config_file::TuningConfig;
use crate::tuning::course::Course;
use crate::tuning::error::TuningError;
use crate::tuning::origins::Origins;

/// Name of what is kept of a job in its output directory.
pub const HUB_JOB: &str = "hub_job.json";

/// The version of that file.
const FORMAT: u32 = 1;

/// A training that was given to the Hub, with all that its records need; no secret is in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HubRun {
    format: u32,
    /// The job.
    pub job: RemoteJob,
    /// The configuration's file, absolute, and its content as resolved.
    config_file: PathBuf,
    config: String,
    pub(super) origins: Origins,
    pub(super) plan: TrainingPlan,
    pub(super) trainer: TrainerVersion,
    warnings: Vec<TrainingWarning>,
}

impl HubRun {
    pub(super) fn new(
        job: RemoteJob,
        config: &TuningConfig,
        file: &Path,
        origins: Origins,
        plan: TrainingPlan,
        trainer: TrainerVersion,
        warnings: Vec<TrainingWarning>,
    ) -> Self {
        Self {
            format: FORMAT,
            job,
            config_file: std::path::absolute(file).unwrap_or_else(|_| file.to_owned()),
            config: config.written.to_yaml(),
            origins,
            plan,
            trainer,
            warnings,
        }
    }

    /// Reads what an output directory keeps of its job; `None` if there is no job.
    pub fn of(directory: &Path) -> Result<Option<Self>, TuningError> {
        let path = directory.join(HUB_JOB);
        let wrong = |detail: String| TuningError::JobFile {
            path: path.clone(),
            detail,
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong(error.to_string())),
        };
        let run: Self = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if run.format != FORMAT {
            return Err(wrong(format!(
                "its format is {}, and this version reads {FORMAT}",
                run.format
            )));
        }
        Ok(Some(run))
    }

    /// Returns the steps that are foreseen.
    pub fn steps(&self) -> u64 {
        self.plan.steps
    }

    /// Returns the names of the job's secrets beside the token.
    pub fn secret_names(&self) -> Result<Vec<String>, TuningError> {
        let config = TuningConfig::read(&self.config, &self.config_file)?;
        Ok(config
            .opened
            .hf_jobs
            .map_or_else(Vec::new, |job| job.secrets))
    }

    /// Writes it where it is looked for.
    pub(super) fn write(&self) -> Result<(), TuningError> {
        let Some(directory) = &self.job.directory else {
            return Ok(());
        };
        let json = serde_json::to_string_pretty(self).expect("a job is plain data") + "\n";
        Ok(write_file(&directory.join(HUB_JOB), &json)?)
    }

    /// Returns the records of the run as they were at its start.
    pub(super) fn course(&self) -> Result<Course, TuningError> {
        let mut config = TuningConfig::read(&self.config, &self.config_file)?;
        if let Some(directory) = &self.job.directory {
            // A loop has directories of its own, which are not beside the file.
            config.opened.output_dir.clone_from(directory);
        }
        Ok(Course::new(
            config,
            self.origins.clone(),
            self.plan.clone(),
            self.trainer.clone(),
            self.warnings.clone(),
        ))
    }
}
