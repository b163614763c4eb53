//! People score conversations whose models they do not know.

mod pages;
mod sample;
mod session;
mod sheet;
mod sheet_error;
mod sheet_reader;

use shipworthy_schema::ModelName;
use shipworthy_schema::yaml::YamlError;
use thiserror::Error;

pub use pages::LabelPages;
pub use session::{Item, Labelling, Question, Rater};
pub use sheet_error::{SheetError, SheetFault};

use crate::store::StoreError;

/// Says why nobody can label a run, or why a label is not taken.
#[derive(Debug, Error)]
pub enum LabellingError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored rubric cannot be read.
    #[error(transparent)]
    Rubric(#[from] YamlError),
    /// A sheet cannot be taken.
    #[error(transparent)]
    Sheet(#[from] SheetError),
    /// The run has no such candidate.
    #[error("the run has no candidate `{model}`; it has {}", .candidates.join(", "))]
    NoCandidate {
        /// The name asked for.
        model: ModelName,
        /// The candidates there are.
        candidates: Vec<String>,
    },
    /// No criterion of the rubric needs a reader.
    #[error(
        "rubric `{rubric}` has deterministic checks alone, so there is nothing for people to judge"
    )]
    NothingToJudge {
        /// The rubric.
        rubric: String,
    },
    /// No persona has a scored conversation with both models.
    #[error("no persona has a scored conversation with both {baseline} and {candidate}")]
    NoPair {
        /// The baseline.
        baseline: ModelName,
        /// The candidate.
        candidate: ModelName,
    },
    /// A name is empty, too long or holds characters that are not shown.
    #[error("a rater's name has 1 to 60 characters, all of them visible, got {got:?}")]
    InvalidRater {
        /// The name, cut.
        got: String,
    },
    /// The conversation is not among those to be labelled.
    #[error("there is no such conversation to label")]
    UnknownItem,
    /// The criterion is not asked about, or the answer is not of its scale.
    #[error("`{answer}` is no answer to `{criterion}` here")]
    NotOfScale {
        /// The criterion, cut.
        criterion: String,
        /// The answer.
        answer: String,
    },
    /// A note is too long.
    #[error("a note has at most {limit} bytes, got {got}")]
    LongNote {
        /// The most.
        limit: usize,
        /// How many there are.
        got: usize,
    },
}
