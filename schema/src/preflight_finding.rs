use serde::{Deserialize, Serialize};

/// What one look at a model found before a run relied on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreflightFinding {
    /// The model by role and name, e.g. `models.tuned`.
    pub model: String,
    /// What was looked at.
    pub check: String,
    /// How it stands, in a word or two for people, e.g. `worked around`.
    pub status: String,
    /// What was seen.
    pub detail: String,
}
