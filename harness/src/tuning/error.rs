use std::path::PathBuf;

use shipworthy_backends::trainer::TrainError;
use shipworthy_datasets::{DatasetError, TokenizerFault};
use shipworthy_models::ModelError;
use shipworthy_schema::yaml::{Place, YamlError};
use thiserror::Error;

use crate::remote_job::RemoteJobError;
use crate::run_directory::WriteError;

/// Says why a model was not tuned.
#[derive(Debug, Error)]
pub enum TuningError {
    /// The configuration cannot be read.
    #[error("failed to read configuration `{path}`: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration is not one.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// The model is not a directory here.
    #[error("{place}: `{model}` is not a directory here")]
    NoDirectory {
        /// The key.
        place: Place,
        /// What the configuration says.
        model: String,
    },
    /// A model's or an adapter's files are wrong.
    #[error("{place}: {source}")]
    Model {
        /// The key that names it.
        place: Place,
        /// What is wrong.
        source: ModelError,
    },
    /// The model's tokenizer or chat template is wrong.
    #[error("{place}: {source}")]
    Tokenizer {
        /// The key that names the model.
        place: Place,
        /// What is wrong.
        source: TokenizerFault,
    },
    /// The data is wrong.
    #[error("{place}: {source}")]
    Data {
        /// The key that names the file.
        place: Place,
        /// What is wrong.
        source: DatasetError,
    },
    /// A row of preferences is none.
    #[error("{place}: `{}`: line {line}: {detail}", path.display())]
    Preference {
        /// The key that names the file.
        place: Place,
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what is expected.
        detail: String,
    },
    /// What is held out is what is learnt.
    #[error(
        "{place}: the same file as `dataset`, so its loss would say nothing of other conversations; hold some out"
    )]
    SameData {
        /// The key of the held-out file.
        place: Place,
    },
    /// A key's value does not fit the model, the data or the machine.
    #[error("{place}: {source}")]
    Setting {
        /// The key.
        place: Place,
        /// What is wrong.
        source: TrainError,
    },
    /// Nothing can be written where the model is to go.
    #[error("{place}: failed to write to `{}`: {source}", path.display())]
    Output {
        /// The key that names the directory.
        place: Place,
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process trains into the same directory.
    #[error("another process trains in `{}`", path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// A file of the base or the data cannot be read.
    #[error("failed to read `{path}`: {source}")]
    Digest {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Something at the Hub was not done.
    #[error(transparent)]
    Remote(#[from] RemoteJobError),
    /// A job of this directory has not been brought to its end.
    #[error(
        "`{}` is where job {job} belongs, which was not brought to its end", path.display()
    )]
    JobUnderWay {
        /// The output directory.
        path: PathBuf,
        /// The job.
        job: String,
    },
    /// What is kept of a job cannot be read.
    #[error("failed to read job `{}`: {detail}", path.display())]
    JobFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// Who watched a job leaves it.
    #[error("job {job} goes on")]
    Left {
        /// The job.
        job: String,
    },
    /// A job cannot be watched any longer.
    #[error("job {job} may go on, and nobody knows: {source}")]
    Lost {
        /// The job.
        job: String,
        /// Why.
        source: RemoteJobError,
    },
    /// A record cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}
