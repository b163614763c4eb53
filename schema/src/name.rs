use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Says why a text cannot be a name.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{name}` is not a name: use {expected}")]
pub struct InvalidName {
    /// The text as given.
    pub name: String,
    /// What a name of this kind may be, in words.
    pub expected: &'static str,
}

/// Most characters of a name that others chose.
const FOREIGN_CHARS: usize = 128;

/// Checks a name that also serves in file names, columns and code.
fn plain(name: String) -> Result<String, InvalidName> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && name.len() <= 64 && name.chars().all(is_plain) {
        Ok(name)
    } else {
        let expected = "1 to 64 letters, digits, `.`, `_` or `-`, starting with a letter or digit";
        Err(InvalidName { name, expected })
    }
}

/// Checks a model's name, which may be anyone's, e.g. `meta-llama/Llama-3.1-8B`.
fn foreign(name: String) -> Result<String, InvalidName> {
    if is_foreign(&name) {
        Ok(name)
    } else {
        let expected = "1 to 128 characters, none of them a control character, without space \
                        around them";
        Err(InvalidName { name, expected })
    }
}

/// Checks a persona's name: like a model's, but without `/`, so that `model/persona/repeat` can be
/// read in one way only.
fn foreign_part(name: String) -> Result<String, InvalidName> {
    if is_foreign(&name) && !name.contains('/') {
        Ok(name)
    } else {
        let expected = "1 to 128 characters, none of them `/` or a control character, without \
                        space around them";
        Err(InvalidName { name, expected })
    }
}

fn is_foreign(name: &str) -> bool {
    let length = name.chars().take(FOREIGN_CHARS + 1).count();
    (1..=FOREIGN_CHARS).contains(&length)
        && name.trim().len() == name.len()
        && !name.contains(char::is_control)
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Takes `name` if it is one; the error says what may be.
            pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
                $check(name.into()).map(Self)
            }

            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;

            fn try_from(name: String) -> Result<Self, InvalidName> {
                Self::new(name)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name! {
    /// Names a model, e.g. `base` or `meta-llama/Llama-3.1-8B`: 1 to 128 characters of any script,
    /// no control characters, no space around them. Whoever shows it makes it inert first.
    ModelName, foreign
}
name! {
    /// Names a persona, ours by spec and seed, e.g. `coaching-9003`: like a model's name, but without
    /// `/`.
    PersonaId, foreign_part
}
name! {
    /// Names a project, e.g. `coaching`.
    ProjectName, plain
}
name! {
    /// Names a persona spec, e.g. `coaching`.
    SpecName, plain
}
name! {
    /// Names a rubric, e.g. `coaching`.
    RubricName, plain
}
name! {
    /// Names a criterion within its rubric, e.g. `asks-a-question`.
    CriterionId, plain
}

#[cfg(test)]
mod tests {
    use super::{CriterionId, ModelName, PersonaId, RubricName};

    #[test]
    fn names_of_others_are_taken_as_they_are() {
        for name in [
            "base",
            "meta-llama/Llama-3.1-8B",
            "my model (v2)",
            "模型",
            "@x",
            "-",
        ] {
            assert_eq!(ModelName::new(name).unwrap().as_str(), name);
            assert_eq!(PersonaId::new(name).is_ok(), !name.contains('/'), "{name}");
        }
        assert!(ModelName::new("ä".repeat(128)).is_ok());
        assert!(RubricName::new("my rubric").is_err() && CriterionId::new("a/b").is_err());
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "a".repeat(129);
        for name in [
            "",
            " ",
            " a",
            "a ",
            "a\u{a0}",
            "a\nb",
            "a\u{1b}[2J",
            "a\u{85}b",
            &long,
        ] {
            assert!(ModelName::new(name).is_err(), "{name:?}");
            assert!(PersonaId::new(name).is_err(), "{name:?}");
        }
        assert_eq!(
            PersonaId::new("a/b").unwrap_err().to_string(),
            "`a/b` is not a name: use 1 to 128 characters, none of them `/` or a control \
             character, without space around them"
        );
    }
}
