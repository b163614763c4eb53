use std::path::PathBuf;

use shipworthy_datasets::{DatasetError, RenderError};
use shipworthy_schema::yaml::YamlError;
use thiserror::Error;

/// Says why a task file cannot be used.
#[derive(Debug, Error)]
#[error("task `{}`: {problem}", path.display())]
pub struct TaskError {
    /// The task's file.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: TaskProblem,
}

/// What is wrong with a task file.
#[derive(Debug, Error)]
pub enum TaskProblem {
    /// It could not be read.
    #[error("failed to read it: {0}")]
    Read(std::io::Error),
    /// It is no YAML.
    #[error(transparent)]
    Yaml(YamlError),
    /// It needs something of lm-eval that is not done here.
    #[error("field `{field}`: {what} is not supported; supported is {supported}")]
    Unsupported {
        /// The field.
        field: String,
        /// What it asks for.
        what: String,
        /// What it may ask for.
        supported: &'static str,
    },
    /// A field has a value of another kind.
    #[error("field `{field}`: expected {expected}, got {got}")]
    Field {
        /// The field.
        field: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        got: String,
    },
    /// A template is wrong or fails.
    #[error("{place}field `{field}`: {detail}")]
    Template {
        /// The row, with a colon behind it; empty where it is the template itself.
        place: String,
        /// The field.
        field: &'static str,
        /// What the template engine says.
        detail: String,
    },
    /// A row is wrong.
    #[error("{place}: {detail}")]
    Row {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Its data cannot be read.
    #[error(transparent)]
    Data(DatasetError),
    /// It has no question.
    #[error("it has no question")]
    Empty,
    /// A question cannot be made tokens of.
    #[error("{id}: {source}")]
    Tokens {
        /// The question.
        id: String,
        /// Why.
        source: RenderError,
    },
}
