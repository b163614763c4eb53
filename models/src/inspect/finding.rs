use serde::Serialize;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Something will go wrong unless it is mended or meant.
    Warning,
    /// Good to know before training, merging or serving.
    Note,
}

/// Something about a model's files that a person should know.
///
/// Texts may quote the files and may then hold anything that UTF-8 can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it weighs.
    pub level: Level,
    /// What kind it is, for programs; it stays the same between versions.
    pub code: &'static str,
    /// What was found.
    pub what: String,
    /// Why it matters.
    pub why: String,
    /// How to mend it.
    pub mend: String,
}

impl Finding {
    pub(super) fn warning(
        code: &'static str,
        what: impl Into<String>,
        why: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Warning,
            code,
            what: what.into(),
            why: why.into(),
            mend: mend.into(),
        }
    }

    pub(super) fn note(
        code: &'static str,
        what: impl Into<String>,
        why: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Note,
            ..Self::warning(code, what, why, mend)
        }
    }
}
