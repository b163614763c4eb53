use std::path::{Path, PathBuf};

use shipworthy_backends::hub::{Hub, RepositoryId, Upload, Uploaded};
use shipworthy_backends::jobs::{Flavour, JobSpec, SubmitError};

use super::error::RemoteJobError;
use super::record::{ExpectedOutput, RemoteJob};
use crate::store::Store;

/// A job about to be started.
#[derive(Debug)]
pub struct Launch {
    /// In whose name it runs.
    pub namespace: String,
    /// What it does.
    pub spec: JobSpec,
    /// The machine that `spec` names, with its price.
    pub flavour: Flavour,
    /// What is uploaded first.
    pub data: Option<LaunchData>,
    /// What it is to leave.
    pub output: Option<LaunchOutput>,
    /// Where that is to be downloaded to.
    pub directory: Option<PathBuf>,
}

/// Data for a job.
#[derive(Clone, Debug)]
pub struct LaunchData {
    /// The files.
    pub files: Vec<Upload>,
    /// The data set repository for it, made private if it is not there; a public one is refused.
    pub repository: RepositoryId,
}

impl LaunchData {
    /// Takes a file, or all files of a directory; errors if there is none.
    pub fn all_in(path: &Path, repository: RepositoryId) -> Result<Self, RemoteJobError> {
        let files = Upload::all_in(path)?;
        if files.is_empty() {
            return Err(RemoteJobError::NoData {
                path: path.to_owned(),
            });
        }
        Ok(Self { files, repository })
    }
}

/// What a job is to leave.
#[derive(Clone, Debug)]
pub struct LaunchOutput {
    /// The model repository, made private if it is not there.
    pub repository: RepositoryId,
    /// The files.
    pub files: Vec<String>,
    /// The last step of the training, where that is known.
    pub last_step: Option<u64>,
}

/// Uploads the data, starts the job, and writes down what another process needs to take it up.
///
/// `uploaded` is told what an upload came to. Nothing is uploaded for a job that cannot work.
pub async fn launch(
    hub: &Hub,
    store: &Store,
    launch: Launch,
    uploaded: &mut dyn FnMut(&RepositoryId, &Uploaded),
) -> Result<RemoteJob, RemoteJobError> {
    launch.spec.check().map_err(SubmitError::from)?;
    if let Some(LaunchData { files, repository }) = &launch.data {
        if hub.is_public(repository).await? == Some(true) {
            let repository = repository.clone();
            return Err(RemoteJobError::PublicData { repository });
        }
        hub.create(repository, true).await?;
        let title = format!("Upload the data of {}", launch.spec.name);
        uploaded(repository, &hub.upload(repository, files, &title).await?);
    }
    let output = match launch.output {
        None => None,
        Some(output) => {
            hub.create(&output.repository, true).await?;
            Some(ExpectedOutput {
                since: hub.head(&output.repository).await?,
                repository: output.repository.to_string(),
                files: output.files,
                last_step: output.last_step,
            })
        }
    };
    let job = hub.submit(&launch.namespace, &launch.spec).await?;
    let record = RemoteJob {
        id: job.id.to_string(),
        endpoint: hub.endpoint().as_str().to_owned(),
        timeout_s: launch.spec.timeout.as_secs(),
        name: launch.spec.name,
        flavour: launch.flavour.name,
        usd_per_minute: launch.flavour.usd_per_minute,
        output,
        directory: launch.directory,
        conclusion: None,
        cost_usd: None,
    };
    match store.put_job(&record).await {
        Ok(()) => Ok(record),
        Err(source) => Err(RemoteJobError::Unwritten {
            id: record.id,
            source,
        }),
    }
}
