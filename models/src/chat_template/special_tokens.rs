use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::error::ChatTemplateError;
use crate::json_file;

/// The tokens that a tokenizer's configuration names, e.g. `bos_token`; templates see them as
/// variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialTokens(BTreeMap<String, String>);

impl SpecialTokens {
    /// Reads them from a checkpoint's `tokenizer_config.json` and, where that does not say which
    /// tokens were added (files from before 2023), from `special_tokens_map.json`, which then wins.
    ///
    /// What neither file names is absent, also where a tokenizer class of transformers has a value
    /// of its own for it. Missing files are no error.
    pub fn read(directory: &Path) -> Result<Self, ChatTemplateError> {
        let mut tokens = Self::default();
        let config = object(directory, "tokenizer_config.json")?.unwrap_or_default();
        tokens.add(&config);
        if !config.contains_key("added_tokens_decoder")
            && let Some(map) = object(directory, "special_tokens_map.json")?
        {
            tokens.add(&map);
        }
        Ok(tokens)
    }

    /// Returns one token's text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns names and texts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let tokens = self.0.iter();
        tokens.map(|(name, token)| (name.as_str(), token.as_str()))
    }

    fn add(&mut self, fields: &Map<String, Value>) {
        let named = fields.iter().filter(|(name, _)| name.ends_with("_token"));
        let extra = fields
            .get("extra_special_tokens")
            .and_then(Value::as_object);
        for (name, value) in named.chain(extra.into_iter().flatten()) {
            if let Some(token) = text(value) {
                self.0.insert(name.clone(), token.to_owned());
            }
        }
    }
}

impl<N: Into<String>, T: Into<String>> FromIterator<(N, T)> for SpecialTokens {
    fn from_iter<I: IntoIterator<Item = (N, T)>>(tokens: I) -> Self {
        let tokens = tokens.into_iter();
        Self(
            tokens
                .map(|(name, token)| (name.into(), token.into()))
                .collect(),
        )
    }
}

/// Returns a token's text: it is a string, or an object with its `content`.
fn text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

/// Reads an object from a file of the checkpoint; none if there is no such file.
pub(super) fn object(
    directory: &Path,
    name: &str,
) -> Result<Option<Map<String, Value>>, ChatTemplateError> {
    let path = directory.join(name);
    if !path.exists() {
        return Ok(None);
    }
    json_file::read(&path)
        .map(Some)
        .map_err(|error| ChatTemplateError::File(Box::new(error)))
}
