use std::path::Path;

use serde_json::Map;

use crate::error::ModelError;
use crate::gguf::{KeyValues, Value};
use crate::hyper_parameters::Fields;
use crate::json_file;

/// Name of the file in which a model's makers say how to sample from it.
const FILE: &str = "generation_config.json";

/// What a value is.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Integer,
    Number,
}

/// Our names in the order of a GGUF file, what they hold, and the names in `generation_config.json`, of
/// which the first that is there counts.
const VALUES: [(&str, Kind, &[&str]); 12] = [
    ("sequence", Kind::Text, &["sequence"]),
    ("top_k", Kind::Integer, &["top_k"]),
    ("top_p", Kind::Number, &["top_p"]),
    ("min_p", Kind::Number, &["min_p"]),
    ("xtc_probability", Kind::Number, &["xtc_probability"]),
    ("xtc_threshold", Kind::Number, &["xtc_threshold"]),
    ("temp", Kind::Number, &["temperature"]),
    ("penalty_last_n", Kind::Integer, &["penalty_last_n"]),
    (
        "penalty_repeat",
        Kind::Number,
        &["penalty_repeat", "repetition_penalty"],
    ),
    ("mirostat", Kind::Integer, &["mirostat"]),
    ("mirostat_tau", Kind::Number, &["mirostat_tau"]),
    ("mirostat_eta", Kind::Number, &["mirostat_eta"]),
];

/// How a model's makers would sample from it: `general.sampling.*`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling(KeyValues);

impl Sampling {
    /// Reads `generation_config.json`; nothing if it is not there.
    ///
    /// Errors with the field for a value of another type.
    pub fn read(directory: &Path) -> Result<Self, ModelError> {
        let path = directory.join(FILE);
        if !path.is_file() {
            return Ok(Self::default());
        }
        let all: Map<String, serde_json::Value> = json_file::read(&path)?;
        let fields = Fields::new(&path, &all);
        let mut values = KeyValues::new();
        for (name, kind, names) in VALUES {
            let Some(field) = names.iter().find(|name| fields.is_mentioned(name)) else {
                continue;
            };
            let value = match kind {
                Kind::Text => {
                    let text = fields.text(field)?.filter(|text| !text.is_empty());
                    text.map(Value::from)
                }
                Kind::Integer => fields.integer(field)?.map(Value::from),
                #[expect(clippy::cast_possible_truncation, reason = "the file has f32")]
                Kind::Number => fields
                    .number(field)?
                    .map(|number| Value::from(number as f32)),
            };
            values.extend(value.map(|value| (format!("general.sampling.{name}"), value)));
        }
        Ok(Self(values))
    }

    /// Returns keys and values, in the order of a file.
    pub fn key_values(&self) -> &KeyValues {
        &self.0
    }
}
