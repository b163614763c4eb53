use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Says why a text cannot be a name.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "`{name}` is not a name: use 1 to 64 letters, digits, `.`, `_` or `-`, starting with a letter \
     or digit"
)]
pub struct InvalidName {
    /// The text as given.
    pub name: String,
}

fn check(name: String) -> Result<String, InvalidName> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && name.len() <= 64 && name.chars().all(plain) {
        Ok(name)
    } else {
        Err(InvalidName { name })
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Takes `name` if it is safe in file names, tables and identifiers.
            pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
                check(name.into()).map(Self)
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
    /// Names a model within a project, e.g. `base`.
    ModelName
}
name! {
    /// Names a persona by its spec and seed, e.g. `coaching-9003`.
    PersonaId
}
name! {
    /// Names a rubric, e.g. `coaching`.
    RubricName
}
name! {
    /// Names a criterion within its rubric, e.g. `asks-a-question`.
    CriterionId
}
