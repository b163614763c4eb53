use std::path::PathBuf;

use thiserror::Error;

use crate::csv_text::{CsvFault, Place};

/// Says why a sheet of labels was not taken; nothing of it is stored then.
#[derive(Debug, Error)]
pub enum SheetError {
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
        fault: Box<SheetFault>,
    },
}

/// What is wrong with a sheet of labels.
#[derive(Debug, Error)]
pub enum SheetFault {
    /// There is not even a header.
    #[error("the file is empty, expected what `--export` writes")]
    Empty,
    /// The text is no table.
    #[error(transparent)]
    Csv(#[from] CsvFault),
    /// A column that every sheet has is not there.
    #[error("there is no such column; the header is as `--export` writes it")]
    NoColumn,
    /// A column is none of a sheet's.
    #[error("there is no such criterion to label; there are {}", criteria.join(", "))]
    UnknownColumn {
        /// The criteria there are.
        criteria: Vec<String>,
    },
    /// Nobody is named.
    #[error("the cell is empty; write who scored, or name the rater with --rater")]
    NoRater,
    /// Somebody else is named.
    #[error("`{cell}` is not the rater named with --rater, `{rater}`")]
    OtherRater {
        /// The cell, cut.
        cell: String,
        /// The rater.
        rater: String,
    },
    /// The conversation is not among those that can be labelled.
    #[error(
        "`{cell}` is no conversation of this run that can be labelled; the sheet of another run, or \
         of another --candidate, has other items"
    )]
    UnknownItem {
        /// The cell, cut.
        cell: String,
    },
    /// A person says something of a conversation twice.
    #[error("line {first} holds what `{rater}` says of this conversation already")]
    Twice {
        /// The line of the first row.
        first: u64,
        /// The rater.
        rater: String,
    },
    /// The words are no answer here.
    #[error("`{cell}` is no answer here; write {}, or nothing", answers.join(", "))]
    NoAnswer {
        /// The cell, cut.
        cell: String,
        /// What may be written.
        answers: Vec<String>,
    },
    /// The conversation is not asked about this criterion.
    #[error(
        "`{cell}` answers what this conversation is not asked about; leave `not asked` or nothing"
    )]
    NotAsked {
        /// The cell, cut.
        cell: String,
    },
    /// A name or a note cannot be taken.
    #[error("{0}")]
    NotTaken(String),
}
