use std::path::PathBuf;

use thiserror::Error;

use crate::fault::Faults;
use crate::model_tokenizer::TokenizerFault;
use crate::visible_text::visible;

/// Says why a file of conversations cannot be trained on.
#[derive(Debug, Error)]
pub enum DatasetError {
    /// The file could not be read.
    #[error("failed to read `{}`: {source}", visible(&path.display().to_string()))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// What was made of it could not be written.
    #[error("failed to write: {0}")]
    Write(std::io::Error),
    /// There is nothing in it.
    #[error(
        "`{}` has no conversation; write one JSON object with `messages` on each line",
        visible(&path.display().to_string())
    )]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Lines that are wrong.
    #[error(transparent)]
    Faults(#[from] Faults),
    /// Examples are longer than is allowed.
    #[error(
        "`{}`: {total} of {of} examples have more than max_length = {max_length} tokens: {}{}; raise max_length to {longest}, split them, or set excess_length_strategy to `truncate` (cuts their ends off) or `drop` (leaves them out)",
        visible(&path.display().to_string()),
        listed(.first),
        if total > &first.len() { " and more" } else { "" }
    )]
    ExcessLength {
        /// The file.
        path: PathBuf,
        /// The most tokens allowed.
        max_length: usize,
        /// The first of them, with their tokens.
        first: Vec<(String, usize)>,
        /// How many there are.
        total: usize,
        /// How many examples there are in all.
        of: usize,
        /// The tokens of the longest.
        longest: usize,
    },
    /// Nothing is left to learn from.
    #[error(
        "`{}`: of {conversations} conversations none is left: {dropped} have more than max_length = {max_length} tokens, {unlabelled} have no reply within it; raise max_length",
        visible(&path.display().to_string())
    )]
    NothingLeft {
        /// The file.
        path: PathBuf,
        /// How many were read.
        conversations: usize,
        /// How many were left out for their length.
        dropped: usize,
        /// How many had no labelled token once they were cut.
        unlabelled: usize,
        /// The most tokens allowed.
        max_length: usize,
    },
    /// The tokenizer or the chat template cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerFault),
}

fn listed(first: &[(String, usize)]) -> String {
    let listed: Vec<String> = first
        .iter()
        .map(|(id, tokens)| format!("{id} ({tokens})"))
        .collect();
    listed.join(", ")
}
