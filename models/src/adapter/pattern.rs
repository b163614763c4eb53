use std::path::Path;

use regex::Regex;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{AdapterProblem, ModelError};

/// Values by patterns of module names, in the order of the file.
#[derive(Clone, Debug)]
pub(super) struct Patterns<T>(Vec<(Regex, T)>);

impl<T: Copy + DeserializeOwned> Patterns<T> {
    pub(super) fn read(path: &Path, patterns: Map<String, Value>) -> Result<Self, ModelError> {
        let read = |(pattern, value): (String, Value)| {
            // PEFT's rule: the whole name, or its end after a dot.
            let regex = Regex::new(&format!(r"^(?:.*\.)?(?:{pattern})$"));
            let regex = regex.map_err(|source| ModelError::Adapter {
                path: path.to_owned(),
                problem: AdapterProblem::Pattern {
                    pattern,
                    source: Box::new(source),
                },
            })?;
            let value = serde_json::from_value(value).map_err(|source| ModelError::Json {
                path: path.to_owned(),
                source,
            })?;
            Ok((regex, value))
        };
        patterns
            .into_iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Returns the value of the first pattern that matches.
    pub(super) fn find(&self, module: &str) -> Option<T> {
        let (_, value) = self.0.iter().find(|(regex, _)| regex.is_match(module))?;
        Some(*value)
    }
}
