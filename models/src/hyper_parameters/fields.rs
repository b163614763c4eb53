use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use thiserror::Error;

/// Says which field of a file is wrong.
#[derive(Debug, Error)]
#[error("`{path}`, field `{field}`: {problem}")]
pub struct FieldError {
    /// The file.
    pub path: PathBuf,
    /// The field, with dots between it and what it is in.
    pub field: String,
    /// What is wrong.
    pub problem: FieldProblem,
}

/// What can be wrong with a field.
#[derive(Debug, Error)]
pub enum FieldProblem {
    /// It is not there, and there is no value to take for granted.
    #[error("it is missing")]
    Missing,
    /// Something else stands there.
    #[error("expected {expected}, found {found}")]
    Type {
        /// What should stand there.
        expected: &'static str,
        /// What does, cut short.
        found: String,
    },
    /// A number that cannot be.
    #[error("expected {expected}, found {found}")]
    Range {
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A value that is understood, and that we cannot follow.
    #[error("`{found}` is not supported; supported are {supported}")]
    Unsupported {
        /// The value.
        found: String,
        /// Those that are.
        supported: &'static str,
    },
}

/// The fields of a JSON object in a file.
///
/// Of two objects, the inner one's fields come first. A field that is `null` is not there.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    path: &'a Path,
    /// What the fields are in, with a dot at the end.
    prefix: &'a str,
    inner: &'a Map<String, Value>,
    outer: Option<&'a Map<String, Value>>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(path: &'a Path, inner: &'a Map<String, Value>) -> Self {
        Self {
            path,
            prefix: "",
            inner,
            outer: None,
        }
    }

    /// Returns the same with fields of `inner`, called `prefix`, in front.
    pub(crate) fn under(self, prefix: &'a str, inner: &'a Map<String, Value>) -> Self {
        Self {
            prefix,
            inner,
            outer: Some(self.inner),
            ..self
        }
    }

    /// Returns the fields of `inner` alone, called `prefix`.
    pub(crate) fn within(self, prefix: &'a str, inner: &'a Map<String, Value>) -> Self {
        Self {
            prefix,
            inner,
            outer: None,
            ..self
        }
    }

    fn find(self, name: &str) -> Option<(&'a Value, &'a str)> {
        let there = |fields: &'a Map<String, Value>| fields.get(name).filter(|v| !v.is_null());
        let inner = there(self.inner).map(|value| (value, self.prefix));
        inner.or_else(|| self.outer.and_then(there).map(|value| (value, "")))
    }

    pub(crate) fn value(self, name: &str) -> Option<&'a Value> {
        self.find(name).map(|(value, _)| value)
    }

    /// Tells whether the field is there, be it `null`.
    pub(crate) fn is_mentioned(self, name: &str) -> bool {
        let outer = self.outer.is_some_and(|outer| outer.contains_key(name));
        self.inner.contains_key(name) || outer
    }

    pub(crate) fn error(self, name: &str, problem: FieldProblem) -> FieldError {
        let prefix = self.find(name).map_or(self.prefix, |(_, prefix)| prefix);
        FieldError {
            path: self.path.to_owned(),
            field: format!("{prefix}{name}"),
            problem,
        }
    }

    fn read<T>(
        self,
        name: &str,
        expected: &'static str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, FieldError> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        read(value).map(Some).ok_or_else(|| {
            let found = shortened(value);
            self.error(name, FieldProblem::Type { expected, found })
        })
    }

    fn out_of_range(self, name: &str, expected: String, found: &dyn ToString) -> FieldError {
        let found = found.to_string();
        self.error(name, FieldProblem::Range { expected, found })
    }

    /// Returns a whole number of 1 to `most`.
    pub(crate) fn count(self, name: &str, most: u32) -> Result<Option<u32>, FieldError> {
        let Some(value) = self.read(name, "a whole number", Value::as_number)? else {
            return Ok(None);
        };
        let whole = value.as_u64().and_then(|value| u32::try_from(value).ok());
        match whole {
            Some(count) if (1..=most).contains(&count) => Ok(Some(count)),
            _ => {
                let expected = format!("a whole number of 1 to {most}");
                Err(self.out_of_range(name, expected, value))
            }
        }
    }

    /// Returns a whole number that fits `i32`.
    pub(crate) fn integer(self, name: &str) -> Result<Option<i32>, FieldError> {
        let whole = |value: &Value| value.as_i64().and_then(|value| i32::try_from(value).ok());
        self.read(name, "a whole number below 2^31", whole)
    }

    /// Returns a number that an `f32` can hold.
    pub(crate) fn number(self, name: &str) -> Result<Option<f64>, FieldError> {
        let Some(number) = self.read(name, "a number", Value::as_f64)? else {
            return Ok(None);
        };
        if number.abs() > f64::from(f32::MAX) {
            let expected = "a number below 3.4e38".to_owned();
            return Err(self.out_of_range(name, expected, &number));
        }
        Ok(Some(number))
    }

    /// Returns a number above 0.
    pub(crate) fn positive(self, name: &str) -> Result<Option<f64>, FieldError> {
        match self.number(name)? {
            Some(number) if number <= 0.0 => {
                let expected = "a number above 0".to_owned();
                Err(self.out_of_range(name, expected, &number))
            }
            number => Ok(number),
        }
    }

    pub(crate) fn truth(self, name: &str) -> Result<Option<bool>, FieldError> {
        self.read(name, "true or false", Value::as_bool)
    }

    pub(crate) fn text(self, name: &str) -> Result<Option<&'a str>, FieldError> {
        self.read(name, "a string", Value::as_str)
    }

    pub(crate) fn object(self, name: &str) -> Result<Option<&'a Map<String, Value>>, FieldError> {
        self.read(name, "an object", Value::as_object)
    }

    pub(crate) fn array(self, name: &str) -> Result<Option<&'a Vec<Value>>, FieldError> {
        self.read(name, "a list", Value::as_array)
    }

    pub(crate) fn missing(self, name: &str) -> FieldError {
        self.error(name, FieldProblem::Missing)
    }
}

/// Returns a value's text, at most 60 characters of it.
fn shortened(value: &Value) -> String {
    let text = match value {
        Value::Array(_) => return "a list".to_owned(),
        Value::Object(_) => return "an object".to_owned(),
        other => other.to_string(),
    };
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
