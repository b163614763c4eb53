use std::path::{Path, PathBuf};

use shipworthy_schema::finetune::{FinetuneConfig, Places};

use super::error::TuningError;
use super::relative_path::relative_path;
use crate::preparation::directory_of;

/// A configuration as its file has it, and where its keys stand.
#[derive(Clone, Debug)]
pub struct TuningConfig {
    /// As written, what was left out filled in.
    pub written: FinetuneConfig,
    /// The same, its paths such as can be opened from here.
    pub opened: FinetuneConfig,
    /// Where the keys stand.
    pub places: Places,
    /// What paths as written are relative to.
    pub directory: PathBuf,
}

impl TuningConfig {
    /// Reads the configuration in `file`; its paths are relative to the file's directory.
    pub fn load(file: &Path) -> Result<Self, TuningError> {
        let text = std::fs::read_to_string(file).map_err(|source| TuningError::Read {
            path: file.to_owned(),
            source,
        })?;
        Self::read(&text, file)
    }

    /// Reads the configuration in `text`, as if it were in `file`.
    pub(super) fn read(text: &str, file: &Path) -> Result<Self, TuningError> {
        Self::parse(text, &file.display().to_string(), directory_of(file))
    }

    /// Reads a configuration from `text`; its paths are relative to `directory`, and `shown` is only used
    /// to say where an error is.
    pub fn parse(text: &str, shown: &str, directory: &Path) -> Result<Self, TuningError> {
        let (written, places) = FinetuneConfig::parse(text, shown)?;
        let mut opened = with_paths(&written, |path| directory.join(path));
        opened.python = written.python.as_deref().map(|python| {
            // A bare name is looked for in PATH.
            if python.components().count() > 1 {
                directory.join(python)
            } else {
                python.to_owned()
            }
        });
        Ok(Self {
            written,
            opened,
            places,
            directory: directory.to_owned(),
        })
    }

    /// Has everything written into `opened`, which is called `written` in records.
    #[must_use]
    pub fn into_directory(mut self, written: PathBuf, opened: PathBuf) -> Self {
        self.written.output_dir = written;
        self.opened.output_dir = opened;
        self
    }

    /// Returns the configuration for a file in the output directory, so that training from there
    /// does the same.
    pub(super) fn for_output(&self) -> std::io::Result<FinetuneConfig> {
        let output = std::path::absolute(&self.opened.output_dir)?;
        let output = output.canonicalize().unwrap_or(output);
        let mut config = with_paths(&self.opened, |path| {
            // What is not there yet has no canonical path; the output directory is.
            let absolute = path
                .canonicalize()
                .or_else(|_| std::path::absolute(path))
                .unwrap_or_else(|_| path.to_owned());
            relative_path(&output, &absolute)
        });
        if let Some(python) = &mut config.python
            && python.components().count() > 1
        {
            // Not where its links lead: there it would be another environment's.
            *python = relative_path(&output, &std::path::absolute(&*python)?);
        }
        Ok(config)
    }
}

fn with_paths(config: &FinetuneConfig, change: impl Fn(&Path) -> PathBuf) -> FinetuneConfig {
    let mut config = config.clone();
    let FinetuneConfig {
        model,
        dataset,
        eval_dataset,
        output_dir,
        init_adapter,
        resume_from_checkpoint,
        ..
    } = &mut config;
    for path in [model, dataset, output_dir] {
        *path = change(path);
    }
    let named = [eval_dataset, init_adapter, resume_from_checkpoint];
    for path in named.into_iter().flatten() {
        *path = change(path);
    }
    config
}
