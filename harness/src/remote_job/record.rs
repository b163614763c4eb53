use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use shipworthy_backends::hub::{HubError, RepositoryId, RepositoryKind};
use shipworthy_backends::jobs::{Expectation, Job};

/// What is kept of a job that runs elsewhere, so that another process can take it up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemoteJob {
    /// `NAMESPACE/ID`.
    pub id: String,
    /// The Hub it was given to.
    pub endpoint: String,
    /// What people call it.
    pub name: String,
    /// The machine it was given.
    pub flavour: String,
    /// What a minute of it cost when it was started, in US dollars.
    pub usd_per_minute: Option<f64>,
    /// The seconds after which the Hub stops it.
    pub timeout_s: u64,
    /// What it is to leave; `None` if nobody said.
    pub output: Option<ExpectedOutput>,
    /// Where that is to be downloaded to.
    pub directory: Option<PathBuf>,
    /// What it came to; `None` until it was waited for.
    pub conclusion: Option<String>,
    /// What it cost in US dollars; `None` until it was waited for, or if nobody knows.
    #[serde(default)]
    pub cost_usd: Option<f64>,
}

/// What a job is to leave in a model repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedOutput {
    /// `NAMESPACE/NAME`.
    pub repository: String,
    /// Its latest commit before the job.
    pub since: Option<String>,
    /// The files.
    pub files: Vec<String>,
    /// The last step of the training, where that is known.
    pub last_step: Option<u64>,
}

impl ExpectedOutput {
    /// Returns it as the Hub is asked for it.
    pub fn expectation(&self) -> Result<Expectation, HubError> {
        Ok(Expectation {
            repository: RepositoryId::parse(RepositoryKind::Model, &self.repository)?,
            since: self.since.clone(),
            files: self.files.clone(),
            last_step: self.last_step,
        })
    }
}

impl RemoteJob {
    /// Returns what is known of a job that was started elsewhere: nothing but where it is.
    pub fn of_others(id: String, endpoint: String) -> Self {
        Self {
            id,
            endpoint,
            name: String::new(),
            flavour: String::new(),
            usd_per_minute: None,
            timeout_s: 0,
            output: None,
            directory: None,
            conclusion: None,
            cost_usd: None,
        }
    }

    /// Returns what `job`, which is this one, has cost so far in US dollars; `None` if nobody knows.
    pub(super) fn cost_of(&self, job: &Job) -> Option<f64> {
        // Minutes that have begun are paid for.
        let minutes = job.billed_s()?.div_ceil(60) as f64;
        Some(minutes * self.usd_per_minute?)
    }

    /// Tells whether it was started from here.
    pub(super) fn is_from_here(&self) -> bool {
        !self.flavour.is_empty()
    }
}
