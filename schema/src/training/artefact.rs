use serde::{Deserialize, Serialize};

use crate::Digest;

/// A file that a training run left, by content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artefact {
    /// Path relative to the output directory, with `/`.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Digest of its content.
    pub digest: Digest,
}

/// The model that was tuned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseModel {
    /// Path or repository as the configuration wrote it.
    pub model: String,
    /// Digest of its files, by [`Digest::of_files`]; `None` where it is another machine's.
    pub digest: Option<Digest>,
    /// Digest of the files of its weights alone, whatever they are called; `None` where it is another
    /// machine's, and in records from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Digest>,
    /// Its family as `config.json` has it in `model_type`, e.g. `qwen3`.
    pub family: String,
}

/// The program that trained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainerVersion {
    /// Which trainer, e.g. `native`.
    pub name: String,
    /// Its version, e.g. `0.1.0`.
    pub version: String,
}
