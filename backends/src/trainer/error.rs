use std::path::PathBuf;

use shipworthy_models::ModelError;
use thiserror::Error;

/// Says why a model was not trained.
#[derive(Debug, Error)]
pub enum TrainError {
    /// This build cannot do it.
    #[error("this build of shipworthy cannot {what}; build it with `--features {feature}`")]
    NotBuilt {
        /// What was asked for.
        what: &'static str,
        /// The cargo feature that brings it.
        feature: &'static str,
    },
    /// A key of the configuration has a value that does not fit the model, the data or the machine.
    #[error("{detail}")]
    Setting {
        /// The key.
        key: &'static str,
        /// What is wrong with its value.
        detail: String,
    },
    /// The base, or the adapter to start from, is wrong.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The data is wrong for this model.
    #[error("{detail}")]
    Data {
        /// What is wrong.
        detail: String,
    },
    /// A file cannot be read or written.
    #[error("{detail}: {source}")]
    InputOutput {
        /// What was tried, with the file.
        detail: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The output directory is another run's.
    #[error("{detail}")]
    OutputInUse {
        /// The directory.
        path: PathBuf,
        /// What is in it.
        detail: String,
    },
    /// There is no checkpoint, or it does not fit.
    #[error("{detail}")]
    Resume {
        /// What is wrong with it.
        detail: String,
    },
    /// A loss or gradient is not a number.
    #[error("{detail}")]
    NotFinite {
        /// Where, and what to do.
        detail: String,
        /// The examples at fault.
        examples: Vec<String>,
    },
    /// The device has too little memory.
    #[error("{detail}")]
    OutOfMemory {
        /// When, and what saves how much.
        detail: String,
    },
    /// The program that trains ended with an error.
    #[error("{detail}")]
    Program {
        /// What it said last, and where its log is.
        detail: String,
        /// How to mend it; empty if nobody knows.
        mend: &'static str,
    },
    /// Computing failed.
    #[error("{detail}")]
    Computation {
        /// What the device says.
        detail: String,
    },
}
