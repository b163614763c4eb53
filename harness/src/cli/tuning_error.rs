use std::path::Path;

use shipworthy_backends::trainer::TrainError;
use shipworthy_datasets::{DatasetError, TokenizerFault};
use shipworthy_harness::tuning::{OtherBase, TrainedBase, TuningError};

use super::error::{Failure, Kind};
use super::jobs::watch::{again, left};

/// The kind of a failure to read a file that somebody named.
fn kind_of(source: &std::io::Error) -> Kind {
    match source.kind() {
        std::io::ErrorKind::NotFound => Kind::Usage,
        std::io::ErrorKind::InvalidData => Kind::Data,
        _ => Kind::InputOutput,
    }
}

impl From<TuningError> for Failure {
    fn from(error: TuningError) -> Self {
        let message = error.to_string();
        let mut failure = match error {
            TuningError::Read { source, .. } => Self::new(kind_of(&source), "")
                .hint("write one with `shipworthy init --template finetune`, or name it with `-c`"),
            TuningError::Yaml(_) | TuningError::SameData { .. } => Self::new(Kind::Usage, ""),
            TuningError::NoDirectory { .. } => Self::new(Kind::Usage, "")
                .hint("paths are relative to the configuration file")
                .hint("download a model first, e.g. `hf download ORGANISATION/NAME --local-dir DIRECTORY`"),
            TuningError::Model { source, .. } => source.into(),
            TuningError::Tokenizer { source, .. } => source.into(),
            TuningError::Data { source, .. } => source.into(),
            TuningError::Setting { source, .. } | TuningError::Train(source) => source.into(),
            TuningError::Preference { .. } | TuningError::JobFile { .. } => {
                Self::new(Kind::Data, "")
            }
            TuningError::Busy { .. } => Self::new(Kind::Usage, "")
                .hint("wait for it, stop it, or name another `output_dir`"),
            TuningError::Output { .. } => Self::new(Kind::InputOutput, ""),
            TuningError::Digest { source, .. } => Self::new(kind_of(&source), ""),
            TuningError::Remote(error) => error.into(),
            TuningError::JobUnderWay { ref job, .. } => Self::new(Kind::Usage, "")
                .hint("`shipworthy train --resume` takes it up")
                .hint(format!("`shipworthy jobs cancel {job}` stops it")),
            TuningError::Left { job } => left(&job),
            TuningError::Lost { job, source } => Self::from(source).hint(again(&job)),
            TuningError::Write(error) => error.into(),
        };
        // The place in the configuration comes first.
        failure.message = message;
        failure
    }
}

/// Errors if the adapter in `adapter` was trained on other weights than the base in `base` has.
pub(super) fn check_base(adapter: &Path, base: &Path) -> Result<(), Failure> {
    match TrainedBase::of(adapter, base)? {
        TrainedBase::Unknown | TrainedBase::Same => Ok(()),
        TrainedBase::Other(other) => Err(other.into()),
    }
}

impl From<OtherBase> for Failure {
    fn from(error: OtherBase) -> Self {
        let lineage = error.lineage.display().to_string();
        Self::new(Kind::Data, error)
            .hint("give the model that it was trained on")
            .hint(format!(
                "if you know the weights to be the same, stored in other files, move `{lineage}` elsewhere"
            ))
    }
}

impl From<TokenizerFault> for Failure {
    fn from(error: TokenizerFault) -> Self {
        let kind = match &error {
            TokenizerFault::Read { source, .. } => kind_of(source),
            _ => Kind::Data,
        };
        Self::new(kind, error)
    }
}

impl From<DatasetError> for Failure {
    fn from(error: DatasetError) -> Self {
        let kind = match &error {
            DatasetError::Read { source, .. } => kind_of(source),
            DatasetError::Write(_) => Kind::InputOutput,
            _ => Kind::Data,
        };
        Self::new(kind, error)
    }
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Model(error) => error.into(),
            TrainError::NotBuilt { .. }
            | TrainError::Setting { .. }
            | TrainError::Resume { .. } => Self::new(Kind::Usage, error),
            TrainError::OutputInUse { .. } => Self::new(Kind::Usage, error)
                .hint("go on with `--resume`, or name another `output_dir`"),
            TrainError::Data { .. } | TrainError::NotFinite { .. } => Self::new(Kind::Data, error),
            TrainError::InputOutput { .. } => Self::new(Kind::InputOutput, error),
            TrainError::OutOfMemory { .. } => Self::new(Kind::Usage, error)
                .hint("`shipworthy plan training` shows what every setting would save"),
            TrainError::Program { mend, .. } => {
                let failure = Self::new(Kind::Unavailable, error);
                if mend.is_empty() {
                    failure
                } else {
                    failure.hint(mend)
                }
            }
            TrainError::Computation { .. } => Self::new(Kind::Internal, error),
        }
    }
}
