use std::path::PathBuf;

use thiserror::Error;

use crate::error::ModelError;

/// Says why a path cannot be told for a model's.
#[derive(Debug, Error)]
pub enum InspectError {
    /// A file is damaged, or not supported.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A directory that is a checkpoint and an adapter.
    #[error(
        "`{path}` has `config.json` and `adapter_config.json`, so it is a checkpoint and an adapter; give each a directory of its own"
    )]
    Both {
        /// The directory.
        path: PathBuf,
    },
    /// A directory that is neither.
    #[error("`{path}` has neither `config.json` nor `adapter_config.json`{}", nearby(.near))]
    Neither {
        /// The directory.
        path: PathBuf,
        /// What in it could be meant, at most three names.
        near: Vec<String>,
    },
    /// A file that is no GGUF file.
    #[error("`{path}` is {found}, not a GGUF file; {mend}")]
    File {
        /// The file.
        path: PathBuf,
        /// What it is, as far as known.
        found: &'static str,
        /// What to do.
        mend: &'static str,
    },
    /// Weights that only Python can read.
    #[error(
        "`{path}` is pickled, and reading it would run code; save it as safetensors (`save_pretrained` does)"
    )]
    Pickled {
        /// The file.
        path: PathBuf,
    },
    /// A base was given for something else than an adapter.
    #[error("`{path}` is no adapter's directory, so there is no base to compare it with")]
    NoAdapter {
        /// What was to be looked at.
        path: PathBuf,
    },
}

fn nearby(near: &[String]) -> String {
    if near.is_empty() {
        return "; name a checkpoint's or an adapter's directory, or a GGUF file".to_owned();
    }
    let names: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    format!("; in it there is {}", names.join(", "))
}
