//! The file's key-values: the model's, then its tokenizer's, then its chat templates'.

use std::collections::BTreeMap;
use std::path::Path;

use crate::adapter::Adapter;
use crate::chat_template::ChatTemplates;
use crate::checkpoint::Checkpoint;
use crate::error::ModelError;
use crate::gguf::{Array, KeyValues, StringArray, Value};
use crate::hyper_parameters::HyperParameters;
use crate::metadata::{FileType, Lineage, model_metadata};
use crate::tokenizer::{Vocabulary, VocabularyValue};

/// Returns what the file says of the model.
///
/// `values`: how many values the tensors have together, for the size's label.
pub(super) fn of_model(
    base: &Checkpoint,
    adapter: Option<&Adapter>,
    parameters: &HyperParameters,
    file_type: FileType,
    values: u64,
) -> Result<KeyValues, ModelError> {
    let (directory, config) = (base.directory(), base.config());
    let lineage = match adapter {
        Some(adapter) => {
            let (adapter, adapter_config) = (adapter.directory(), adapter.config());
            Lineage::of_merged(directory, config, adapter, adapter_config, values)?
        }
        None => Lineage::of_checkpoint(directory, config, values)?,
    };
    Ok(model_metadata(
        config.family(),
        parameters,
        &lineage,
        file_type,
    ))
}

/// Puts what the file says of the tokenizer, and the chat templates that lie in `directory`.
pub(super) fn put_tokenizer(
    key_values: &mut KeyValues,
    vocabulary: &Vocabulary,
    directory: &Path,
) -> Result<(), ModelError> {
    for (key, value) in vocabulary.metadata() {
        let value: Value = match value {
            VocabularyValue::String(text) => text.into(),
            VocabularyValue::Bool(truth) => truth.into(),
            VocabularyValue::Id(id) => id.into(),
            VocabularyValue::Strings(strings) => {
                Value::Array(Array::String(strings.into_iter().collect::<StringArray>()))
            }
            VocabularyValue::Scores(scores) => Value::Array(Array::F32(scores)),
            VocabularyValue::Kinds(kinds) => Value::Array(Array::I32(kinds)),
            VocabularyValue::ChatTemplate => {
                put_templates(key_values, &ChatTemplates::read(directory)?);
                continue;
            }
        };
        key_values.insert(key, value);
    }
    Ok(())
}

fn put_templates(key_values: &mut KeyValues, templates: &ChatTemplates) {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let named = templates.named.iter();
    let named: BTreeMap<String, &String> = named
        .map(|(name, source)| (name.chars().map(allowed).collect(), source))
        .collect();
    for (name, source) in &named {
        key_values.insert(format!("tokenizer.chat_template.{name}"), source.as_str());
    }
    if !named.is_empty() {
        let names = named.keys().collect::<StringArray>();
        key_values.insert(
            "tokenizer.chat_templates",
            Value::Array(Array::String(names)),
        );
    }
    if let Some(source) = &templates.default {
        key_values.insert("tokenizer.chat_template", source.as_str());
    }
}
