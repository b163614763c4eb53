//! Reading a noun from a YAML file, with errors that name file, line, column and field.

use std::fmt;

use serde::de::DeserializeOwned;
/// A value and where in the file it stood, for checks that need more than one field.
pub use serde_saphyr::Spanned;
use thiserror::Error;

/// Says where a YAML file is not what was expected, and what is wrong there.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("{file}:{}{}{message}", position(*.line, *.column), field_prefix(.field))]
pub struct YamlError {
    /// The file as the user named it.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// Path of the field, e.g. `criteria[1].weight`; empty for the document itself.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

/// A place in a YAML file: where an error is, that shows only later than at reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it.
    pub file: String,
    /// Line, from 1; 0 where the file leaves the field out.
    pub line: u64,
    /// Column, from 1; 0 where the file leaves the field out.
    pub column: u64,
    /// Path of the field.
    pub field: String,
}

impl Place {
    /// Returns the place of `value`, which stands in `field` of `file`.
    pub fn of<T>(file: &str, field: impl Into<String>, value: &Spanned<T>) -> Self {
        let at = value.referenced;
        Self {
            file: file.to_owned(),
            line: at.line(),
            column: at.column(),
            field: field.into(),
        }
    }

    /// Returns an error at this place.
    pub fn error(self, message: impl Into<String>) -> YamlError {
        let Self {
            file,
            line,
            column,
            field,
        } = self;
        YamlError {
            file,
            line,
            column,
            field,
            message: message.into(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            field,
        } = self;
        if *line == 0 {
            write!(f, "{file}: field `{field}`")
        } else {
            write!(f, "{file}:{line}:{column}: field `{field}`")
        }
    }
}

fn position(line: u64, column: u64) -> String {
    if line == 0 {
        " ".to_owned()
    } else {
        format!("{line}:{column}: ")
    }
}

fn field_prefix(field: &str) -> String {
    if field.is_empty() {
        String::new()
    } else {
        format!("field `{field}`: ")
    }
}

/// Reads a `T` from `text`; `file` is only used to say where an error is.
pub fn read<T: DeserializeOwned>(text: &str, file: &str) -> Result<T, YamlError> {
    let mut track = serde_path_to_error::Track::new();
    let read = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        T::deserialize(serde_path_to_error::Deserializer::new(
            deserializer,
            &mut track,
        ))
    });
    read.map_err(|error| {
        let (line, column) = error
            .location()
            .map_or((1, 1), |at| (at.line(), at.column()));
        let mut message = error.without_snippet().to_string();
        if let Some(end) = message.rfind(" at line ") {
            message.truncate(end);
        }
        let path = track.path().to_string();
        let field = if path == "." {
            String::new()
        } else {
            // `Spanned` puts a step of its own into the path.
            let path = path.replace(".?", "").replace(".value", "");
            if path == "?" { String::new() } else { path }
        };
        let message = in_words(message);
        YamlError {
            file: file.to_owned(),
            line,
            column,
            field,
            message,
        }
    })
}

/// Says in words for whoever writes the file what the library says in Rust's.
fn in_words(message: String) -> String {
    let range = |most: u64| format!("must be a whole number from 0 to {most}");
    if let Some(key) = message.strip_prefix("duplicate mapping key: ") {
        let key = key.split(", set DuplicateKeyPolicy").next().unwrap_or(key);
        return format!("`{key}` stands here twice; leave one out");
    }
    if let Some(number) = message.strip_prefix("non-finite float ") {
        let number = number.split(" rejected").next().unwrap_or(number);
        return format!("{number} is no number that can be used");
    }
    match message.as_str() {
        "expected mapping start" => {
            "must have keys of its own: `{key: value}`, or `key: value` on \
                                     indented lines"
                .to_owned()
        }
        "expected sequence start" => {
            "must be a list: `[a, b]`, or lines that begin with `- `".to_owned()
        }
        "expected string scalar" => "must be one value, no list and no keys".to_owned(),
        "unexpected end of input" => "the file is empty, or ends in the middle".to_owned(),
        "invalid u8" => range(u8::MAX.into()),
        "invalid u16" => range(u16::MAX.into()),
        "invalid u32" => range(u32::MAX.into()),
        "invalid u64" | "invalid usize" => range(u64::MAX),
        _ if message.contains("expected a nonzero") => "must be at least 1".to_owned(),
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only its reading is tested")]
        count: u32,
        #[serde(default)]
        #[expect(dead_code, reason = "only its reading is tested")]
        calls: Option<NonZeroU64>,
    }

    #[test]
    fn errors_name_file_line_column_and_field() {
        let error = super::read::<Sample>("count: 1\ncuont: 2\n", "a.yaml").unwrap_err();
        assert_eq!(
            error.to_string(),
            "a.yaml:2:1: field `cuont`: unknown field `cuont`, expected one of count, calls"
        );
        let said = |text: &str| {
            super::read::<Sample>(text, "a.yaml")
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            said("count: -1\n"),
            "a.yaml:1:8: field `count`: must be a whole number from 0 to 4294967295"
        );
        assert_eq!(
            said("count: [1]\n"),
            "a.yaml:1:8: field `count`: must be one value, no list and no keys"
        );
        assert_eq!(
            said("count: 1\ncalls: 0\n"),
            "a.yaml:2:1: field `calls`: must be at least 1"
        );
        assert_eq!(
            said("count: 1\ncount: 2\n"),
            "a.yaml:2:1: `count` stands here twice; leave one out"
        );
    }
}
