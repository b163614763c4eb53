use serde::{Deserialize, Serialize};

/// What training data came to as tokens, counted before the first step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingDataReport {
    /// Examples that are learnt from.
    pub examples: u64,
    /// How long they are, after any truncation.
    pub tokens: TokenCounts,
    /// Tokens among them that carry a label.
    pub labelled_tokens: u64,
    /// Examples of the file that are not learnt from, e.g. because they are too long.
    pub examples_lost: u64,
    /// Examples cut off at the longest length.
    pub examples_truncated: u64,
    /// Tokens that were cut off, or went with their examples.
    pub tokens_lost: u64,
    /// Rows after packing; `None`: each example stands alone.
    pub packed_rows: Option<u64>,
}

/// How long examples are, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCounts {
    /// Of all together.
    pub total: u64,
    /// Half have at most so many.
    pub p50: u64,
    /// 95 of 100 have at most so many.
    pub p95: u64,
    /// The longest.
    pub max: u64,
}
