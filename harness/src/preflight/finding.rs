use serde::{Deserialize, Serialize};

/// What one check of a model found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// How it stands.
    pub status: Status,
    /// What was seen.
    pub detail: String,
    /// What a person can do about it, where there is something to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Passed,
    /// It is not, and the run does otherwise; the report says so.
    WorkedAround,
    /// It is not, and nothing replaces it: the report says what is lacking.
    Doubtful,
    /// No evaluation can use this.
    Refused,
}

impl Status {
    /// Returns the word that programs read.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::WorkedAround => "worked_around",
            Self::Doubtful => "doubtful",
            Self::Refused => "refused",
        }
    }
}

impl Finding {
    /// Returns that `check` is as it should be.
    pub fn passed(check: &str, detail: impl Into<String>) -> Self {
        Self::new(check, Status::Passed, detail)
    }

    /// Returns that the run does otherwise.
    pub(super) fn worked_around(check: &str, detail: impl Into<String>) -> Self {
        Self::new(check, Status::WorkedAround, detail)
    }

    /// Returns that something is lacking.
    pub fn doubtful(check: &str, detail: impl Into<String>) -> Self {
        Self::new(check, Status::Doubtful, detail)
    }

    /// Returns that no evaluation can use this.
    pub(super) fn refused(check: &str, detail: impl Into<String>) -> Self {
        Self::new(check, Status::Refused, detail)
    }

    /// Says what a person can do about it.
    pub(super) fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    fn new(check: &str, status: Status, detail: impl Into<String>) -> Self {
        Self {
            check: check.to_owned(),
            status,
            detail: detail.into(),
            mend: None,
        }
    }
}
