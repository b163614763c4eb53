use std::path::PathBuf;

use shipworthy_schema::{FieldDifference, ModelName};
use thiserror::Error;

use crate::comparison::ComparisonError;

/// Says why no candidate can be held against a shipped model.
#[derive(Debug, Error)]
pub enum BaselineError {
    /// The file cannot be read.
    #[error("failed to read the baseline file `{path}`: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no baseline file.
    #[error("`{path}` is no baseline file: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The shipped model was evaluated otherwise.
    #[error(
        "the scores in `{path}` cannot be compared with this run's, which was planned otherwise: {}",
        joined(.differences)
    )]
    OtherConditions {
        /// The file.
        path: PathBuf,
        /// What differs, at least one field.
        differences: Vec<FieldDifference>,
    },
    /// The run has no such model.
    #[error("the run has no model `{model}`, it has {}", .known.join(", "))]
    NoModel {
        /// The model.
        model: String,
        /// The models there are.
        known: Vec<String>,
    },
    /// Not all conversations were held.
    #[error(
        "the run has {held} of the {planned} conversations planned with `{model}`, and a baseline \
         needs all of them"
    )]
    Partial {
        /// The model.
        model: ModelName,
        /// Conversations held.
        held: usize,
        /// Conversations planned.
        planned: usize,
    },
    /// The rubric has no such criterion.
    #[error(
        "`regression.criteria` names `{criterion}`, which the rubric of the run lacks; it has {}",
        .known.join(", ")
    )]
    NoCriterion {
        /// The criterion.
        criterion: String,
        /// The criteria there are.
        known: Vec<String>,
    },
    /// A run of candidates alone, and no file.
    #[error("the run has no baseline, and no baseline file is named")]
    NoBaseline,
    /// The run has no verdict to write a baseline by.
    #[error("the verdict on `{model}` is {verdict}, so it is no shipped model")]
    NotShipped {
        /// The recommended candidate.
        model: ModelName,
        /// Its verdict, in words.
        verdict: &'static str,
    },
    /// The scores allow no comparison.
    #[error(transparent)]
    Comparison(#[from] ComparisonError),
}

fn joined(differences: &[FieldDifference]) -> String {
    let all: Vec<String> = differences.iter().map(ToString::to_string).collect();
    all.join("; ")
}
