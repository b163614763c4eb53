use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use shipworthy_models::FileType;

/// What the weights of a GGUF file are stored as, e.g. `q4_k_m`; 8 bits if nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Quantisation(FileType);

impl Default for Quantisation {
    fn default() -> Self {
        Self(FileType::Q8_0)
    }
}

impl Quantisation {
    /// Returns it as the files' own type.
    pub fn file_type(self) -> FileType {
        self.0
    }

    /// Returns its name as configurations and file names have it, e.g. `q4_k_m`.
    pub fn name(self) -> String {
        name(self.0)
    }
}

fn name(file_type: FileType) -> String {
    file_type.name().to_ascii_lowercase()
}

fn names() -> Vec<String> {
    FileType::ALL.into_iter().map(name).collect()
}

impl TryFrom<String> for Quantisation {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let found = FileType::ALL.into_iter().find(|it| name(*it) == text);
        found
            .map(Self)
            .ok_or_else(|| format!("`{text}` is no type; write one of {}", names().join(", ")))
    }
}

impl JsonSchema for Quantisation {
    fn schema_name() -> Cow<'static, str> {
        "Quantisation".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": names() })
    }
}
