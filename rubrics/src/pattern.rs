use std::fmt;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

/// Most bytes a compiled pattern may take; far above any sensible one, far below what hurts.
const SIZE_LIMIT: usize = 1 << 20;

/// A regular expression that compiles within the size limit of 1 MiB.
///
/// It matches in time linear in the text and is case-sensitive unless it begins with `(?i)`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(Regex);

impl Pattern {
    /// Returns the first match in `text`.
    pub fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        self.0.find(text).map(|found| found.as_str())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(pattern: String) -> Result<Self, String> {
        if pattern.is_empty() {
            return Err("an empty regular expression matches everything".to_owned());
        }
        RegexBuilder::new(&pattern)
            .size_limit(SIZE_LIMIT)
            .dfa_size_limit(SIZE_LIMIT)
            .build()
            .map(Self)
            .map_err(|error| {
                // The parser draws the pattern over several lines; its last line says what is
                // wrong.
                let text = error.to_string();
                let what = text.lines().last().unwrap_or_default().trim();
                let what = what.strip_prefix("error: ").unwrap_or(what).to_lowercase();
                let what = what.trim_end_matches('.');
                format!("`{pattern}` is not a regular expression: {what}")
            })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}
