use std::path::PathBuf;

use shipworthy_backends::likelihood::LikelihoodError;
use shipworthy_datasets::{DatasetError, TokenizerFault};
use shipworthy_models::ModelError;
use thiserror::Error;

/// Says why sanity checks could not be made.
#[derive(Debug, Error)]
pub enum SanityError {
    /// What was asked for does not fit together.
    #[error("{detail}")]
    Request {
        /// What does not.
        detail: String,
    },
    /// A file could not be read.
    #[error("failed to read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file of the training run is no record of training.
    #[error("`{}` is no record of training: {detail}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A model's file is wrong.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Held-out data cannot be read.
    #[error(transparent)]
    Data(#[from] DatasetError),
    /// A tokenizer or chat template cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerFault),
    /// A task file cannot be used.
    #[error(transparent)]
    Task(#[from] super::TaskError),
    /// A model cannot be opened or asked.
    #[error(transparent)]
    Likelihood(#[from] LikelihoodError),
    /// Whoever follows the checks wanted them to end.
    #[error("interrupted")]
    Interrupted,
}
