use std::fmt;
use std::path::PathBuf;

use shipworthy_schema::{InvalidName, ModelName, PersonaId};
use thiserror::Error;

use super::PERSONAS_AT_LEAST;
use crate::comparison::ComparisonError;
use crate::csv_text::{CsvFault, Place};

/// Says why a table of scores could not be read or compared.
#[derive(Debug, Error)]
pub enum ScoreTableError {
    /// The file could not be read.
    #[error("failed to read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its content is at fault.
    #[error("{}:{place}: {fault}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Where in it.
        place: Place,
        /// What is wrong there.
        fault: Box<Fault>,
    },
}

/// What is wrong with a table of scores.
#[derive(Debug, Error)]
pub enum Fault {
    /// There is not even a header.
    #[error(
        "the file is empty, expected a header with the columns `model`, `persona`, `repeat` and \
         `score`"
    )]
    Empty,
    /// The text is no table.
    #[error(transparent)]
    Csv(#[from] CsvFault),
    /// A column that every table has is not there.
    #[error("there is no such column, the header has {}", list(found))]
    NoColumn {
        /// The columns that are there.
        found: Vec<String>,
    },
    /// A name is not there.
    #[error("the cell is empty, expected a name")]
    NoName,
    /// A name is none.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A repeat is no count.
    #[error("`{text}` is not a whole number from 1 up")]
    NotARepeat {
        /// The cell.
        text: String,
    },
    /// A score is no number.
    #[error("`{text}` is not a number{hint}")]
    NotANumber {
        /// The cell.
        text: String,
        /// What may be meant.
        hint: &'static str,
    },
    /// A score is NaN or infinite.
    #[error("`{text}` is not a finite number; leave the cell empty where there is no score")]
    NotFinite {
        /// The cell.
        text: String,
    },
    /// A score is below 0 or above 1.
    #[error("`{text}` is not from 0 to 1; divide the scores by the top of their scale")]
    OutOfRange {
        /// The cell.
        text: String,
    },
    /// Whether a conversation passed is not told.
    #[error("`{text}` is neither `true` nor `false`")]
    NotABoolean {
        /// The cell.
        text: String,
    },
    /// A conversation stands in two rows.
    #[error(
        "line {first} holds repeat {repeat} of persona `{persona}` with model `{model}` already"
    )]
    Twice {
        /// The line of the first row.
        first: u64,
        /// The model.
        model: ModelName,
        /// The persona.
        persona: PersonaId,
        /// The repeat.
        repeat: u32,
    },
    /// No row is the baseline's.
    #[error(
        "no row is of the baseline `{baseline}`, the models are {}",
        list(models)
    )]
    UnknownBaseline {
        /// The baseline asked for.
        baseline: String,
        /// The models that have rows.
        models: Vec<ModelName>,
    },
    /// There is no candidate.
    #[error("all rows are of one model, `{model}`; there is no candidate to compare it with")]
    OneModel {
        /// The model.
        model: ModelName,
    },
    /// A safety criterion has no column.
    #[error(
        "there is no such criterion to be a safety criterion, the file has {}",
        list(criteria)
    )]
    UnknownSafety {
        /// The criteria that have columns.
        criteria: Vec<String>,
    },
    /// A persona has rows with one model and none with another.
    #[error("persona `{persona}` has rows with `{with}`, but none with `{without}`")]
    PersonaMissing {
        /// The persona.
        persona: PersonaId,
        /// A model that it has rows with.
        with: ModelName,
        /// The model that it has none with.
        without: ModelName,
    },
    /// There are too few pairs for a test.
    #[error(
        "{personas} {}: the persona is the pair, and a test needs at least {PERSONAS_AT_LEAST} \
         (15 are usual)",
        if *personas == 1 { "persona" } else { "personas" }
    )]
    TooFewPersonas {
        /// Number of personas.
        personas: usize,
    },
    /// The differences of all personas are the same.
    #[error(
        "the difference between `{candidate}` and `{baseline}` is the same for all {personas} \
         personas, so nothing tells it from chance"
    )]
    NoSpread {
        /// The candidate.
        candidate: ModelName,
        /// The baseline.
        baseline: ModelName,
        /// Number of personas.
        personas: usize,
    },
    /// The scores allow no comparison.
    #[error(transparent)]
    Comparison(ComparisonError),
}

/// Returns names in backquotes with commas between, or `none`.
fn list(names: &[impl fmt::Display]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
