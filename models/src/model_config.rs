use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{CheckpointProblem, ModelError};
use crate::hyper_parameters::HyperParameters;
use crate::json_file;

/// Name of the file that describes a checkpoint.
pub(crate) const FILE: &str = "config.json";

/// A family of models whose tensors we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Llama 2 and 3.
    Llama,
    /// Mistral 7B and its kin.
    Mistral,
    /// Qwen 2 and 2.5.
    Qwen2,
    /// Qwen 3, dense.
    Qwen3,
    /// The text part of Gemma 3.
    Gemma3,
}

impl Family {
    /// Returns what the family is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "Llama",
            Self::Mistral => "Mistral",
            Self::Qwen2 => "Qwen2",
            Self::Qwen3 => "Qwen3",
            Self::Gemma3 => "Gemma 3",
        }
    }
}

/// Families, what `model_type` calls them, and what `architectures` does.
const FAMILIES: [(Family, &[&str], &[&str]); 5] = [
    (Family::Llama, &["llama"], &["LlamaForCausalLM"]),
    (Family::Mistral, &["mistral"], &["MistralForCausalLM"]),
    (Family::Qwen2, &["qwen2"], &["Qwen2ForCausalLM"]),
    (Family::Qwen3, &["qwen3"], &["Qwen3ForCausalLM"]),
    (
        Family::Gemma3,
        &["gemma3", "gemma3_text"],
        &["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"],
    ),
];

/// What `config.json` says.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    path: PathBuf,
    family: Family,
    ties_embeddings: bool,
    fields: Map<String, Value>,
}

impl ModelConfig {
    /// Reads a checkpoint's `config.json`.
    ///
    /// Errors with the architecture and the supported ones if it is another, and if the weights are
    /// quantised.
    pub fn read(directory: &Path) -> Result<Self, ModelError> {
        let config = Self::read_quantised_too(directory)?;
        if let Some(quantisation) = config.quantisation() {
            let method = quantisation.get("quant_method").and_then(Value::as_str);
            return Err(ModelError::Checkpoint {
                path: config.path.clone(),
                problem: CheckpointProblem::Quantised {
                    method: method.unwrap_or("an unknown method").to_owned(),
                },
            });
        }
        Ok(config)
    }

    /// Reads the same of a checkpoint whose weights may be quantised, to look at and not to compute
    /// with.
    pub(crate) fn read_quantised_too(directory: &Path) -> Result<Self, ModelError> {
        let path = directory.join(FILE);
        let fields: Map<String, Value> = json_file::read(&path)?;
        let wrong = |problem| ModelError::Checkpoint {
            path: path.clone(),
            problem,
        };
        let family = family(&fields).ok_or_else(|| {
            wrong(CheckpointProblem::Architecture {
                found: found(&fields),
                supported: supported(),
            })
        })?;
        let nested = fields.get("text_config").and_then(Value::as_object);
        let value = |name: &str| {
            let outer = fields.get(name).filter(|value| !value.is_null());
            outer.or_else(|| nested.and_then(|nested| nested.get(name)))
        };
        let ties_embeddings = value("tie_word_embeddings")
            .and_then(Value::as_bool)
            // What transformers takes for granted where nothing is said.
            .unwrap_or(family == Family::Gemma3);
        Ok(Self {
            path,
            family,
            ties_embeddings,
            fields,
        })
    }

    /// Returns the family.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Tells whether the head's weights are the embedding's.
    pub fn ties_embeddings(&self) -> bool {
        self.ties_embeddings
    }

    /// Returns the model's sizes and constants.
    ///
    /// Errors with file and field for what is missing, impossible or not supported; merging needs
    /// none of it, so it is looked at here only.
    pub fn hyper_parameters(&self) -> Result<HyperParameters, ModelError> {
        let (family, ties) = (self.family, self.ties_embeddings);
        Ok(HyperParameters::read(
            &self.path,
            family,
            ties,
            &self.fields,
        )?)
    }

    /// Returns the number format of the weights as the file names it (`bfloat16`), if it does.
    pub fn dtype(&self) -> Option<&str> {
        let nested = self.fields.get("text_config").and_then(Value::as_object);
        let mut places = [Some(&self.fields), nested].into_iter().flatten();
        places.find_map(|fields| {
            let names = ["dtype", "torch_dtype"].into_iter();
            names
                .filter_map(|name| fields.get(name))
                .find_map(Value::as_str)
        })
    }

    /// Returns what the file says of how the weights are quantised, if they are.
    pub(crate) fn quantisation(&self) -> Option<&Value> {
        let name = "quantization_config";
        let outer = self.fields.get(name).filter(|value| !value.is_null());
        let nested = || self.fields.get("text_config")?.get(name);
        outer.or_else(nested).filter(|value| !value.is_null())
    }

    /// Returns the first of `architectures`, if there is one.
    pub(crate) fn architecture(&self) -> Option<&str> {
        architectures(&self.fields).first().copied()
    }

    /// Returns a field that is a string and stands outside of `text_config`.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(Value::as_str)
    }

    /// Returns all of the file, with the number format of the weights and whether the head is tied
    /// changed where that is given.
    pub(crate) fn changed(&self, dtype: Option<&str>, ties: Option<bool>) -> Map<String, Value> {
        let mut fields = self.fields.clone();
        if let Some(dtype) = dtype {
            set(
                &mut fields,
                &["dtype", "torch_dtype"],
                "dtype",
                &dtype.into(),
            );
        }
        if let Some(ties) = ties {
            let names = ["tie_word_embeddings"];
            set(&mut fields, &names, "tie_word_embeddings", &ties.into());
        }
        fields
    }
}

/// Sets whichever of `names` are there, outside and in `text_config`; `usual` if none is.
fn set(fields: &mut Map<String, Value>, names: &[&str], usual: &str, to: &Value) {
    let mut found = false;
    for name in names {
        if let Some(value) = fields.get_mut(*name) {
            *value = to.clone();
            found = true;
        }
    }
    if let Some(nested) = fields.get_mut("text_config").and_then(Value::as_object_mut) {
        for name in names {
            if let Some(value) = nested.get_mut(*name) {
                *value = to.clone();
            }
        }
    }
    if !found {
        fields.insert(usual.to_owned(), to.clone());
    }
}

fn architectures(fields: &Map<String, Value>) -> Vec<&str> {
    let list = fields.get("architectures").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn model_type(fields: &Map<String, Value>) -> Option<&str> {
    fields.get("model_type").and_then(Value::as_str)
}

/// Returns the family; where type and architecture are both given, both must say so.
fn family(fields: &Map<String, Value>) -> Option<Family> {
    let architectures = architectures(fields);
    let model_type = model_type(fields);
    if architectures.is_empty() && model_type.is_none() {
        return None;
    }
    let (family, ..) = FAMILIES.iter().find(|(_, types, names)| {
        model_type.is_none_or(|found| types.contains(&found))
            && architectures.iter().all(|found| names.contains(found))
    })?;
    Some(*family)
}

fn found(fields: &Map<String, Value>) -> String {
    let names = architectures(fields);
    match (names.is_empty(), model_type(fields)) {
        (false, _) => format!("`{}`", names.join("`, `")),
        (true, Some(model_type)) => format!("`{model_type}`"),
        (true, None) => "(not given)".to_owned(),
    }
}

fn supported() -> String {
    let names: Vec<&str> = FAMILIES
        .iter()
        .flat_map(|(_, _, names)| names.iter().copied())
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn config(text: &str) -> Result<ModelConfig, String> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), text).unwrap();
        let place = directory.path().display().to_string();
        ModelConfig::read(directory.path()).map_err(|error| error.to_string().replace(&place, "."))
    }

    #[test_case(r#"{"model_type":"llama"}"#, Family::Llama, false; "by type")]
    #[test_case(r#"{"architectures":["Qwen2ForCausalLM"],"tie_word_embeddings":true}"#, Family::Qwen2, true; "by architecture")]
    #[test_case(r#"{"model_type":"gemma3","text_config":{"tie_word_embeddings":false}}"#, Family::Gemma3, false; "nested")]
    #[test_case(r#"{"model_type":"gemma3_text"}"#, Family::Gemma3, true; "tied unless said")]
    fn families_are_known(text: &str, family: Family, ties: bool) {
        let config = config(text).unwrap();
        assert_eq!((config.family(), config.ties_embeddings()), (family, ties));
    }

    #[test_case(r#"{"model_type":"llama","torch_dtype":"bfloat16"}"#, Some("bfloat16"); "older")]
    #[test_case(r#"{"model_type":"gemma3","text_config":{"dtype":"float32"}}"#, Some("float32"); "within")]
    #[test_case(r#"{"model_type":"llama","dtype":null}"#, None; "not said")]
    fn number_formats_are_found(text: &str, expected: Option<&str>) {
        assert_eq!(config(text).unwrap().dtype(), expected);
    }

    #[test_case(r#"{"architectures":["MambaForCausalLM"]}"#, "./config.json`: architecture `MambaForCausalLM` is not supported; supported are LlamaForCausalLM, "; "another architecture")]
    #[test_case(r#"{"model_type":"llama","architectures":["LlamaForSequenceClassification"]}"#, "`LlamaForSequenceClassification` is not supported"; "another head")]
    #[test_case("{}", "architecture (not given) is not supported"; "nothing said")]
    #[test_case("[]", "./config.json`: invalid type: sequence, expected a map"; "no object")]
    #[test_case(r#"{"model_type":"llama","quantization_config":{"quant_method":"bitsandbytes"}}"#, "quantised (bitsandbytes)"; "quantised")]
    fn others_are_refused_by_name(text: &str, expected: &str) {
        let error = config(text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
