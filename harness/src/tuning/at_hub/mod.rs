//! A fine-tuning that runs at the Hugging Face Hub, by the script that TRL has here too.
//!
//! [`Rental::find`] chooses the machine, [`begin`] uploads what is learnt and starts the job, and [`follow`]
//! makes of its log what a training here tells, looks at what was left, brings it here and writes the same records. What
//! another process needs for that lies in the output directory ([`HubRun`]).

mod base_check;
mod begin;
mod follow;
mod hub_run;
mod rental;

use std::collections::BTreeMap;
use std::time::Duration;

use shipworthy_backends::Secret;
use shipworthy_backends::hub::{Hub, HubFile, RepositoryId, Uploaded};
use shipworthy_backends::jobs::Job;

use crate::store::Store;

pub use base_check::check_weights;
pub use begin::begin;
pub use follow::{Followed, follow};
pub use hub_run::{HUB_JOB, HubRun};
pub use rental::Rental;

/// The Hub as a training uses it.
pub struct AtHub<'a> {
    /// The Hub.
    pub hub: &'a Hub,
    /// Where the job is written down.
    pub store: &'a Store,
    /// What is secret of the job, by name; the token among them, without which it could push nothing.
    pub secrets: BTreeMap<String, Secret>,
    /// Time from one look at the job to the next.
    pub look_every: Duration,
    /// Is told what happens beside the training.
    pub told: &'a dyn Fn(HubEvent<'_>),
}

impl AtHub<'_> {
    /// Returns a text without the values of the secrets in it.
    fn redact(&self, text: &str) -> String {
        let secrets = self.secrets.values();
        secrets.fold(text.to_owned(), |text, secret| secret.redact(&text))
    }
}

/// What happens beside a training at the Hub.
#[derive(Debug)]
pub enum HubEvent<'a> {
    /// Files were uploaded.
    Uploaded {
        /// Where to.
        repository: &'a RepositoryId,
        /// What it came to.
        done: &'a Uploaded,
    },
    /// The job wrote a line, from elsewhere and perhaps hostile.
    Line(&'a str),
    /// This is where the job is now.
    Looked {
        /// The job.
        job: &'a Job,
        /// What it cost so far in US dollars; `None` if nobody knows.
        cost_usd: Option<f64>,
    },
    /// So many bytes of a file are here.
    Download {
        /// The file.
        file: &'a HubFile,
        /// The bytes.
        bytes: u64,
    },
}
