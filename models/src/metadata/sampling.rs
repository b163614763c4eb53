use std::path::Path;

use serde_json::{Map, Value};

use crate::error::ModelError;
use crate::gguf::KeyValues;
use crate::hyper_parameters::Fields;
use crate::json_file;

/// Name of the file in which a model's makers say how to sample from it.
const FILE: &str = "generation_config.json";

/// Numbers by the file's names and ours.
const NUMBERS: [(&[&str], &str); 8] = [
    (&["top_p"], "top_p"),
    (&["min_p"], "min_p"),
    (&["xtc_probability"], "xtc_probability"),
    (&["xtc_threshold"], "xtc_threshold"),
    (&["temperature"], "temp"),
    (&["penalty_repeat", "repetition_penalty"], "penalty_repeat"),
    (&["mirostat_tau"], "mirostat_tau"),
    (&["mirostat_eta"], "mirostat_eta"),
];
/// Whole numbers by the file's names, which are ours.
const INTEGERS: [&str; 3] = ["top_k", "penalty_last_n", "mirostat"];
/// The order in a GGUF file.
const ORDER: [&str; 12] = [
    "sequence",
    "top_k",
    "top_p",
    "min_p",
    "xtc_probability",
    "xtc_threshold",
    "temp",
    "penalty_last_n",
    "penalty_repeat",
    "mirostat",
    "mirostat_tau",
    "mirostat_eta",
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
        let all: Map<String, Value> = json_file::read(&path)?;
        let fields = Fields::new(&path, &all);
        let mut values = KeyValues::new();
        for name in ORDER {
            let key = format!("general.sampling.{name}");
            if name == "sequence" {
                let text = fields.text(name)?.filter(|text| !text.is_empty());
                values.extend(text.map(|text| (key, text)));
            } else if INTEGERS.contains(&name) {
                values.extend(fields.integer(name)?.map(|value| (key, value)));
            } else if let Some((names, _)) = NUMBERS.iter().find(|(_, ours)| *ours == name) {
                let there = names.iter().find(|name| fields.is_mentioned(name));
                let number = there.map_or(Ok(None), |name| fields.number(name))?;
                #[expect(clippy::cast_possible_truncation, reason = "the file has f32")]
                values.extend(number.map(|value| (key, value as f32)));
            }
        }
        Ok(Self(values))
    }

    /// Returns keys and values, in the order of a file.
    pub fn key_values(&self) -> &KeyValues {
        &self.0
    }
}
