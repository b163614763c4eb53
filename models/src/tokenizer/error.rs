use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::error::ModelError;

/// Says why a checkpoint's tokenizer cannot be written into a model file.
#[derive(Debug, Error)]
pub enum TokenizerError {
    /// A file could not be read.
    #[error(transparent)]
    File(Box<ModelError>),
    /// Neither of the files that describe a tokenizer.
    #[error(
        "`{directory}` has neither `tokenizer.json` nor `tokenizer.model`; copy the base model's, or save the tokenizer with transformers"
    )]
    Absent {
        /// The checkpoint.
        directory: PathBuf,
    },
    /// `tokenizer.model` is not SentencePiece's.
    #[error(
        "`{path}` is not a SentencePiece model: {source}; if it is tiktoken's, remove it and keep `tokenizer.json`"
    )]
    SentencePiece {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: prost::DecodeError,
    },
    /// What a file says in one place is wrong.
    #[error("`{path}`, `{field}`: {problem}")]
    Field {
        /// The file.
        path: PathBuf,
        /// The place in it, e.g. `model.merges[7]`.
        field: String,
        /// What is wrong.
        problem: TokenizerProblem,
    },
}

/// What can be wrong with what a tokenizer's file says.
#[derive(Debug, Error)]
pub enum TokenizerProblem {
    /// A value of another type.
    #[error("expected {expected}, found {found}")]
    Type {
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A tokenizer of another kind.
    #[error("{found} cannot be written as a byte-level BPE or a SentencePiece BPE vocabulary")]
    Unsupported {
        /// The kind.
        found: String,
    },
    /// Text is split in a way no name is known for.
    #[error(
        "{found} is not a known definition (known are {known}); another name, such as `default`, would split text differently without a word of warning"
    )]
    Definition {
        /// The definition.
        found: String,
        /// Names of the known ones.
        known: String,
    },
    /// More tokens than any model has.
    #[error("{found} tokens are more than the {limit} a vocabulary may have")]
    TooMany {
        /// How many there are.
        found: usize,
        /// The most allowed.
        limit: usize,
    },
    /// An embedding of no rows.
    #[error("there are no tokens")]
    Empty,
    /// A file without SentencePiece's tokens.
    #[error("there are none; if the file is tiktoken's, remove it and keep `tokenizer.json`")]
    NoPieces,
    /// A token without a row in the embedding.
    #[error(
        "token `{token}` has id {id}, but the embedding has {vocab_size} rows; resize the embedding, or remove the token"
    )]
    OutOfRange {
        /// The token.
        token: String,
        /// Its id.
        id: u64,
        /// Rows of the embedding.
        vocab_size: usize,
    },
    /// Two tokens with one id.
    #[error("tokens `{first}` and `{second}` both have id {id}")]
    IdTwice {
        /// The id.
        id: u32,
        /// One token.
        first: String,
        /// The other.
        second: String,
    },
    /// One token with two ids.
    #[error("token `{token}` has both id {first} and id {second}")]
    TokenTwice {
        /// The token.
        token: String,
        /// One id.
        first: u32,
        /// The other.
        second: u32,
    },
    /// A merge of or into something that is no token.
    #[error("`{token}` is not in the vocabulary")]
    UnknownToken {
        /// What is merged, or results.
        token: String,
    },
    /// A score that is no number.
    #[error("score {found} of token `{token}` is not finite")]
    Score {
        /// The token.
        token: String,
        /// Its score.
        found: f32,
    },
}

impl TokenizerError {
    pub(super) fn field(path: &Path, field: impl Into<String>, problem: TokenizerProblem) -> Self {
        Self::Field {
            path: path.to_owned(),
            field: field.into(),
            problem,
        }
    }
}

impl TokenizerProblem {
    /// Says that `found` is not what was expected, in few words.
    pub(super) fn wrong_type(expected: &'static str, found: &serde_json::Value) -> Self {
        Self::Type {
            expected,
            found: shortened(&found.to_string()),
        }
    }
}

/// Bytes of a file's own text that an error repeats.
const SHOWN: usize = 2000;

/// Cuts a text that a file states and an error repeats.
pub(super) fn shortened(text: &str) -> String {
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let end = (0..=SHOWN)
        .rev()
        .find(|index| text.is_char_boundary(*index))
        .unwrap_or(0);
    format!("{}…", &text[..end])
}

impl From<ModelError> for TokenizerError {
    fn from(error: ModelError) -> Self {
        Self::File(Box::new(error))
    }
}
