use std::path::PathBuf;

use shipworthy_schema::yaml::YamlError;
use thiserror::Error;

use crate::preparation::PreparationError;
use crate::run_directory::WriteError;

/// Says why no training data is made.
#[derive(Debug, Error)]
pub enum GenerationError {
    /// The configuration says nothing of it.
    #[error("`{file}` has no `generate`: it does not say who teaches")]
    NoSection {
        /// The configuration.
        file: String,
    },
    /// What the configuration says cannot be.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// A model, the people or the rubric cannot be had.
    #[error(transparent)]
    Preparation(#[from] PreparationError),
    /// A file is there that says something else.
    #[error("`{}` is there already", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}
