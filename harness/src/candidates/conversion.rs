use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shipworthy_models::gguf::Existing;
use shipworthy_models::{Adapter, Checkpoint, ConvertOptions, ModelError, convert};
use shipworthy_schema::finetune::Method;
use shipworthy_schema::{CandidateState, CandidateStep, Digest};

use super::error::{LoopError, Setback};
use super::making::Making;
use super::training::Trained;
use crate::config::Quantisation;
use crate::run_directory::WriteError;

const STEP: CandidateStep = CandidateStep::Conversion;

/// What the names of files begin with that a converter has not finished.
const UNFINISHED: &str = ".shipworthy-gguf-";

/// What the store keeps of a conversion.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stored {
    Gguf(Digest),
    Failed(CandidateState),
}

impl Making<'_> {
    /// Returns the path of the candidate's GGUF file below the project's directory.
    pub fn gguf(&self, quantisation: Quantisation) -> PathBuf {
        let name = format!("model-{}.gguf", quantisation.name());
        self.recipe.directory().join(name)
    }

    /// Merges what was trained into its base and writes it as a GGUF file, unless that is there; returns
    /// the file's digest.
    pub fn convert(&self, trained: &Trained, to: Quantisation) -> Result<Digest, Setback> {
        let file_type = to.name();
        let parts = [
            trained.weights.as_str(),
            self.recipe.ingredients.base.as_str(),
            &file_type,
            env!("CARGO_PKG_VERSION"),
        ];
        let key = Digest::of_parts(parts.map(str::as_bytes));
        let (store, candidate) = (&self.project.store, &self.recipe.key);
        let path = self.project.directory().join(self.gguf(to));
        match store.step(candidate, STEP, &key)? {
            Some(Stored::Failed(state)) if !self.is_retried() => {
                return Err(Setback::OfCandidate(state));
            }
            Some(Stored::Gguf(digest)) if path.is_file() && digest_of(&path)? == digest => {
                return Ok(digest);
            }
            _ => {}
        }
        self.check_begin()?;
        self.check_halt()?;
        self.begun(STEP);
        if let Err(error) = self.write_gguf(&path, to) {
            let state = CandidateState::Failed {
                step: STEP,
                error: error.to_string(),
            };
            return Err(match error {
                ModelError::Interrupted => LoopError::Interrupted.into(),
                ModelError::InputOutput { .. }
                | ModelError::GgufWrite(_)
                | ModelError::Output { .. } => LoopError::Conversion {
                    name: self.recipe.name.clone(),
                    source: Box::new(error),
                }
                .into(),
                _ => {
                    store.put_step(candidate, STEP, &key, &Stored::Failed(state.clone()))?;
                    Setback::OfCandidate(state)
                }
            });
        }
        let digest = digest_of(&path)?;
        store.put_step(candidate, STEP, &key, &Stored::Gguf(digest.clone()))?;
        Ok(digest)
    }

    fn write_gguf(&self, path: &Path, to: Quantisation) -> Result<(), ModelError> {
        remove_unfinished(&self.directory());
        let trained = self.trained_directory();
        let opened = &self.recipe.config.opened;
        let (model, adapter) = match opened.method {
            Method::Full => (trained, None),
            Method::Lora | Method::Qlora => (opened.model.clone(), Some(trained)),
        };
        let model = Checkpoint::open(&model)?;
        let adapter = adapter.as_deref().map(Adapter::open).transpose()?;
        let options = ConvertOptions {
            output: path.to_owned(),
            file_type: to.file_type(),
            existing: Existing::Overwrite,
            tokenizer: None,
        };
        let mut go_on = |_| match self.project.halt.reason() {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        };
        convert(&model, adapter.as_ref(), &options, &mut go_on).map(drop)
    }
}

/// Removes what a process that was killed has left.
fn remove_unfinished(directory: &Path) {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            // It takes room, and nothing else depends on it.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

pub(super) fn digest_of(path: &Path) -> Result<Digest, LoopError> {
    let read = std::fs::File::open(path).and_then(Digest::of_reader);
    read.map_err(|source| {
        LoopError::Write(WriteError {
            path: path.to_owned(),
            source,
        })
    })
}
