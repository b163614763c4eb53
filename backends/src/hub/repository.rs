use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::HubError;

/// What goes into a segment of a path as it is.
const SEGMENT: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Longest name of a repository or namespace.
const MAX_NAME: usize = 96;

/// What a repository holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepositoryKind {
    /// A model.
    Model,
    /// A data set.
    Dataset,
}

/// Names a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryId {
    kind: RepositoryKind,
    namespace: String,
    name: String,
}

impl RepositoryId {
    /// Reads `NAMESPACE/NAME`.
    pub fn parse(kind: RepositoryKind, text: &str) -> Result<Self, HubError> {
        let wrong = |detail| HubError::Name {
            name: text.to_owned(),
            detail,
        };
        let (namespace, name) = text
            .split_once('/')
            .ok_or_else(|| wrong("the namespace is missing"))?;
        for part in [namespace, name] {
            let is_letter = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if part.is_empty() || part.len() > MAX_NAME {
                return Err(wrong("each part has 1 to 96 characters"));
            }
            if !part.chars().all(is_letter) {
                return Err(wrong("only letters, digits, `-`, `_` and `.` are allowed"));
            }
            if part.starts_with(['-', '.']) || part.ends_with(['-', '.']) {
                return Err(wrong("no part begins or ends with `-` or `.`"));
            }
            if part.contains("--") || part.contains("..") {
                return Err(wrong("`--` and `..` are not allowed"));
            }
        }
        Ok(Self {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Returns what it holds.
    pub fn kind(&self) -> RepositoryKind {
        self.kind
    }

    /// Returns whose it is.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns its name in the namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the path of its programming interface.
    pub(super) fn api(&self) -> String {
        let kind = match self.kind {
            RepositoryKind::Model => "models",
            RepositoryKind::Dataset => "datasets",
        };
        format!("/api/{kind}/{self}")
    }

    /// Returns the path that git and browsers know.
    pub(super) fn page(&self) -> String {
        match self.kind {
            RepositoryKind::Model => format!("/{self}"),
            RepositoryKind::Dataset => format!("/datasets/{self}"),
        }
    }
}

impl fmt::Display for RepositoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Returns a file's path or a revision as part of a URL's path.
pub(super) fn encoded(path: &str) -> String {
    let segments = path.split('/');
    let encoded: Vec<String> = segments
        .map(|segment| utf8_percent_encode(segment, &SEGMENT).to_string())
        .collect();
    encoded.join("/")
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("ada/letters-1.5_b", true; "a usual one")]
    #[test_case("letters", false; "without a namespace")]
    #[test_case("ada/", false; "without a name")]
    #[test_case("ada/x/y", false; "with a folder")]
    #[test_case("ada/../x", false; "a way out")]
    #[test_case("ada/a--b", false; "two dashes")]
    #[test_case("ada/.hidden", false; "a dot first")]
    #[test_case("ada/a?b=c", false; "a query")]
    fn names_are_read_strictly(text: &str, is_one: bool) {
        let read = RepositoryId::parse(RepositoryKind::Model, text);
        assert_eq!(read.is_ok(), is_one, "{read:?}");
    }

    #[test]
    fn paths_are_encoded_by_segment() {
        assert_eq!(encoded("a b/ü#?.json"), "a%20b/%C3%BC%23%3F.json");
    }
}
