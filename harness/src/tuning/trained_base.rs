use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use shipworthy_schema::{BaseModel, Digest};
use thiserror::Error;

use super::base_model::{ModelDigests, weights_of};
use super::error::TuningError;
use super::output_files::LINEAGE;

/// Bytes of the longest record that is read: it has a configuration and a list of files.
const LONGEST: u64 = 16 << 20;

/// How a base's weights stand to those that an adapter was trained on.
#[derive(Debug)]
pub enum TrainedBase {
    /// Nobody wrote down what it was trained on, or there are no weights to compare.
    Unknown,
    /// They are the same.
    Same,
    /// They are others.
    Other(OtherBase),
}

/// An adapter is put to another base than it was trained on.
#[derive(Debug, Error)]
#[error(
    "`{}` was trained on {} whose digest is {}, and the one of `{}` is {}: on other weights an adapter of the same \
     shapes does harm, silently",
    adapter.display(), shown(trained_on), trained.short(), base.display(), given.short()
)]
pub struct OtherBase {
    /// The adapter's directory.
    pub adapter: PathBuf,
    /// The record that says what it was trained on.
    pub lineage: PathBuf,
    /// What the base was called there.
    pub trained_on: String,
    /// The digest there.
    pub trained: Digest,
    /// The directory of the base that was given.
    pub base: PathBuf,
    /// Its digest.
    pub given: Digest,
}

impl TrainedBase {
    /// Looks whether the base in `base` has the weights that the adapter in `adapter` was trained on, as the
    /// `lineage.json` beside it says, or for a checkpoint of a training that of the training.
    ///
    /// The weights are read once if there is such a record, else not at all. In records that do not name
    /// the weights alone, tokenizer and configuration count, too.
    pub fn of(adapter: &Path, base: &Path) -> Result<Self, TuningError> {
        let Some((lineage, trained_on)) = lineage_of(adapter) else {
            return Ok(Self::Unknown);
        };
        let (trained, given) = match (trained_on.weights, trained_on.digest) {
            (Some(trained), _) => match weights_of(base)? {
                Some(given) => (trained, given),
                None => return Ok(Self::Unknown),
            },
            (None, Some(trained)) => match ModelDigests::of(base)? {
                ModelDigests {
                    weights: Some(_),
                    all,
                } => (trained, all),
                ModelDigests { weights: None, .. } => return Ok(Self::Unknown),
            },
            (None, None) => return Ok(Self::Unknown),
        };
        if trained == given {
            return Ok(Self::Same);
        }
        Ok(Self::Other(OtherBase {
            adapter: adapter.to_owned(),
            lineage,
            trained_on: trained_on.model,
            trained,
            base: base.to_owned(),
            given,
        }))
    }
}

/// Returns what an adapter's record says of its base; what is no such record says nothing.
fn lineage_of(adapter: &Path) -> Option<(PathBuf, BaseModel)> {
    #[derive(Deserialize)]
    struct Lineage {
        base: BaseModel,
    }

    let beside = adapter.join(LINEAGE);
    let name = adapter.file_name().and_then(|name| name.to_str());
    let path = match adapter.parent() {
        Some(training) if name.is_some_and(|name| name.starts_with("checkpoint-")) => {
            if beside.is_file() {
                beside
            } else {
                training.join(LINEAGE)
            }
        }
        _ => beside,
    };
    if !path.is_file() {
        return None;
    }
    let mut text = Vec::new();
    let file = File::open(&path).ok()?;
    file.take(LONGEST).read_to_end(&mut text).ok()?;
    let Lineage { base } = serde_json::from_slice(&text).ok()?;
    Some((path, base))
}

/// Returns a model's name as one of a record's, which may hold anything.
fn shown(name: &str) -> String {
    format!("`{}`", shipworthy_reports::one_line(name))
}
