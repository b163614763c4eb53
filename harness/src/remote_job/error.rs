use std::path::PathBuf;

use shipworthy_backends::hub::{HubError, RepositoryId};
use shipworthy_backends::jobs::SubmitError;
use thiserror::Error;

use crate::store::StoreError;

/// Says why a job was not started or not brought to its end.
#[derive(Debug, Error)]
pub enum RemoteJobError {
    /// The Hub did not do what it was asked.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The job was not started.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The job cannot be written down.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The job was started, and cannot be written down.
    #[error("job {id} was started, and cannot be written down: {source}")]
    Unwritten {
        /// The job.
        id: String,
        /// Why.
        source: StoreError,
    },
    /// What is learnt from would be open to everybody.
    #[error("everybody may read `{repository}`, and so the data that the job would find there")]
    PublicData {
        /// The data set repository.
        repository: RepositoryId,
    },
    /// There is no data.
    #[error("there is nothing to upload in `{}`", path.display())]
    NoData {
        /// Where it was to be.
        path: PathBuf,
    },
}
