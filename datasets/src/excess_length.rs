use serde::{Deserialize, Serialize};

/// What is done with an example that has more tokens than `max_length`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExcessLength {
    /// All of them are named in an error.
    #[default]
    Raise,
    /// The tokens behind are cut off, and counted.
    Truncate,
    /// The example is left out, and counted.
    Drop,
}
