//! What the native trainer's errors are to whoever asked for training.

use std::error::Error;

use shipworthy_native::{NativeError, TrainingError};

use crate::trainer::TrainError;

impl From<NativeError> for TrainError {
    fn from(error: NativeError) -> Self {
        match error {
            NativeError::Model(error) => Self::Model(error),
            NativeError::UnknownModule { field, .. } => Self::Setting {
                key: field,
                detail: error.to_string(),
            },
            NativeError::UnsupportedAdapter { .. } | NativeError::AdapterMismatch { .. } => {
                Self::Setting {
                    key: "init_adapter",
                    detail: error.to_string(),
                }
            }
            NativeError::Token { .. } | NativeError::Nf4 { .. } => Self::Data {
                detail: error.to_string(),
            },
            error => Self::Computation {
                detail: error.to_string(),
            },
        }
    }
}

impl From<TrainingError> for TrainError {
    fn from(error: TrainingError) -> Self {
        let detail = error.to_string();
        match error {
            TrainingError::Option { field, .. } | TrainingError::NoEvaluationData { field } => {
                Self::Setting { key: field, detail }
            }
            TrainingError::NeverEvaluated => Self::Setting {
                key: "early_stopping_patience",
                detail,
            },
            TrainingError::EmptyData { .. }
            | TrainingError::NoLabels { .. }
            | TrainingError::Ragged { .. }
            | TrainingError::Vocabulary { .. } => Self::Data { detail },
            TrainingError::Output { source, .. } | TrainingError::Read { source, .. } => {
                Self::InputOutput { detail, source }
            }
            TrainingError::OutputInUse { path, .. } => Self::OutputInUse { path, detail },
            TrainingError::NoCheckpoint { .. }
            | TrainingError::Checkpoint(_)
            | TrainingError::Differs { .. } => Self::Resume { detail },
            TrainingError::NotFinite { ids, .. } => Self::NotFinite {
                detail,
                examples: ids,
            },
            TrainingError::OutOfMemory { source, .. } => Self::OutOfMemory {
                detail: with_source(&detail, &source),
            },
            TrainingError::Model(error) => Self::Model(error),
            TrainingError::Native(error) => error.into(),
        }
    }
}

fn with_source(detail: &str, source: &dyn Error) -> String {
    format!("{detail} ({source})")
}
