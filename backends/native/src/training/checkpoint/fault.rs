use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::named_tensors::TensorFault;

/// A checkpoint that nothing can go on from.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("checkpoint `{}` is not whole: {problem}", path.display())]
pub struct CheckpointFault {
    /// The checkpoint's directory.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: CheckpointProblem,
}

/// What is wrong with a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CheckpointProblem {
    /// The file that is written last is absent.
    #[error("`training_state.json` is absent, which is written last")]
    NoState,
    /// The state cannot be understood.
    #[error("`training_state.json`: {reason}")]
    State {
        /// What is wrong with it.
        reason: String,
    },
    /// Another version of this tool wrote it.
    #[error("`training_state.json` has format version {found}, expected {expected}")]
    Version {
        /// Its version.
        found: u32,
        /// The version that is read.
        expected: u32,
    },
    /// A file is not there, or cannot be read.
    #[error("failed to read `{file}`: {reason}")]
    Unreadable {
        /// Its name.
        file: String,
        /// What the system says.
        reason: String,
    },
    /// A file is not what was written.
    #[error("`{file}` has changed since it was written")]
    Digest {
        /// Its name.
        file: String,
    },
    /// A file of tensors cannot be understood.
    #[error("`{file}`: {reason}")]
    Tensors {
        /// Its name.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor is absent, or of another shape or format than what is trained.
    #[error("`{file}`: tensor `{tensor}` is {found}, expected {expected}")]
    Tensor {
        /// The file's name.
        file: String,
        /// The tensor's name.
        tensor: String,
        /// What it is.
        found: String,
        /// What it must be.
        expected: String,
    },
}

impl CheckpointFault {
    /// Says what is wrong with a checkpoint.
    pub(crate) fn new(path: &Path, problem: CheckpointProblem) -> Self {
        Self {
            path: path.to_owned(),
            problem,
        }
    }
}

impl CheckpointProblem {
    /// Says why a tensor of a file was not read.
    pub(crate) fn of_tensor(file: &str, tensor: &str, expected: &str, fault: TensorFault) -> Self {
        let file = file.to_owned();
        match fault {
            TensorFault::Other(found) => Self::Tensor {
                file,
                tensor: tensor.to_owned(),
                found,
                expected: expected.to_owned(),
            },
            TensorFault::Format(reason) => Self::Tensors { file, reason },
            TensorFault::Io(error) => Self::Unreadable {
                file,
                reason: error.to_string(),
            },
            TensorFault::Tensor(error) => Self::Tensors {
                file,
                reason: error.to_string(),
            },
        }
    }
}
