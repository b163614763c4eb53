use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use shipworthy_schema::{Digest, Plan};

use super::error::GenerationError;
use super::manifest::{Manifest, ManifestFile};
use super::preparation::Generation;
use super::row::TrainingRow;
use super::selection::Selection;
use crate::run_directory::write_file;

/// Where generated training data goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputFiles {
    /// The rows to learn from.
    pub training: PathBuf,
    /// The rows for validation, if there are any.
    pub validation: PathBuf,
    /// Where they are from.
    pub manifest: PathBuf,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// Its rows.
    pub rows: usize,
    /// The people in them.
    pub personas: usize,
    /// The digest of its content.
    pub digest: Digest,
}

impl OutputFiles {
    /// Names the files after the one for training: `data/rows.jsonl` has `data/rows.validation.jsonl`
    /// and `data/rows.manifest.json` beside it.
    pub fn beside(training: &Path) -> Self {
        Self {
            training: training.to_owned(),
            validation: training.with_extension("validation.jsonl"),
            manifest: training.with_extension("manifest.json"),
        }
    }

    /// Refuses files that are there.
    pub fn check_absent(&self) -> Result<(), GenerationError> {
        for path in [&self.training, &self.validation, &self.manifest] {
            if path.exists() {
                return Err(GenerationError::Exists { path: path.clone() });
            }
        }
        Ok(())
    }

    /// Writes what was selected; the manifest comes last, so that where it is the rows are.
    ///
    /// A file that is there is replaced if `may_replace`, or if it says the same.
    pub fn write(
        &self,
        plan: &Plan,
        generation: &Generation,
        selection: &Selection,
        may_replace: bool,
    ) -> Result<Vec<Written>, GenerationError> {
        let mut contents = vec![(&self.training, &selection.training)];
        if !selection.validation.is_empty() {
            contents.push((&self.validation, &selection.validation));
        }
        let mut written = Vec::new();
        let mut texts = Vec::new();
        for (path, rows) in contents {
            let text: String = rows.iter().map(TrainingRow::line).collect();
            let people: BTreeSet<_> = rows.iter().map(|row| &row.persona).collect();
            written.push(Written {
                path: path.clone(),
                rows: rows.len(),
                personas: people.len(),
                digest: Digest::of(text.as_bytes()),
            });
            texts.push((path, text));
        }
        let files = written.iter().map(|file| ManifestFile {
            file: name_of(&file.path),
            rows: file.rows,
            personas: file.personas,
            digest: &file.digest,
        });
        let manifest = Manifest::of(plan, generation, selection, files.collect());
        let manifest = serde_json::to_string_pretty(&manifest).expect("a manifest is plain data");
        texts.push((&self.manifest, manifest + "\n"));
        let is_other = |path: &Path, text: &str| {
            path.exists() && std::fs::read(path).is_ok_and(|there| there != text.as_bytes())
        };
        let other = texts.iter().find(|(path, text)| is_other(path, text));
        if let (Some((path, _)), false) = (other, may_replace) {
            let path = (*path).clone();
            return Err(GenerationError::Exists { path });
        }
        for (path, text) in texts {
            write_file(path, &text)?;
        }
        if selection.validation.is_empty() && may_replace {
            // An older one would be taken for this one's; where there is none, nothing is to do.
            let _ = std::fs::remove_file(&self.validation);
        }
        Ok(written)
    }
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
