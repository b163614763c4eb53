use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::error::{TokenizerError, TokenizerProblem};
use crate::json_file;

const FILE: &str = "tokenizer_config.json";
const SPECIAL_TOKENS: &str = "special_tokens_map.json";

/// Fields that name one special token each.
const NAMED: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];
/// Fields that list more of them.
const LISTED: [&str; 2] = ["additional_special_tokens", "extra_special_tokens"];

/// What `tokenizer_config.json` says, and `special_tokens_map.json` where that counts.
#[derive(Debug)]
pub(super) struct TokenizerConfig {
    path: PathBuf,
    /// Empty if there is no such file.
    fields: Map<String, Value>,
    special_tokens: Map<String, Value>,
}

/// A token added to the vocabulary, as a configuration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AddedToken {
    pub(super) content: String,
    pub(super) special: bool,
}

impl TokenizerConfig {
    pub(super) fn read(directory: &Path) -> Result<Self, TokenizerError> {
        let path = directory.join(FILE);
        let fields: Map<String, Value> = read_if_there(&path)?.unwrap_or_default();
        // What transformers reads only where `added_tokens_decoder` does not say all.
        let special_tokens = if fields.contains_key("added_tokens_decoder") {
            None
        } else {
            read_if_there(&directory.join(SPECIAL_TOKENS))?
        };
        Ok(Self {
            path,
            fields,
            special_tokens: special_tokens.unwrap_or_default(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// Returns whether a space is put before text, if that is said.
    pub(super) fn add_prefix_space(&self) -> Result<Option<bool>, TokenizerError> {
        match self.fields.get("add_prefix_space") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(TokenizerError::field(
                &self.path,
                "add_prefix_space",
                TokenizerProblem::wrong_type("true or false", other),
            )),
        }
    }

    /// Returns `added_tokens_decoder` by id, if it is there.
    pub(super) fn added_tokens(&self) -> Result<Option<BTreeMap<u32, AddedToken>>, TokenizerError> {
        let field = "added_tokens_decoder";
        let Some(value) = self.fields.get(field) else {
            return Ok(None);
        };
        let Some(entries) = value.as_object() else {
            let problem = TokenizerProblem::wrong_type("an object", value);
            return Err(TokenizerError::field(&self.path, field, problem));
        };
        let mut tokens = BTreeMap::new();
        for (key, entry) in entries {
            let wrong = |expected, found: &Value| {
                let field = format!("{field}.{}", super::error::shortened(key));
                let problem = TokenizerProblem::wrong_type(expected, found);
                TokenizerError::field(&self.path, field, problem)
            };
            let Ok(id) = key.parse::<u32>() else {
                return Err(wrong("an id as key", &Value::String(key.clone())));
            };
            let Some(content) = entry.get("content").and_then(Value::as_str) else {
                return Err(wrong("an object with a string `content`", entry));
            };
            let special = entry.get("special").and_then(Value::as_bool);
            let token = AddedToken {
                content: content.to_owned(),
                special: special.unwrap_or(false),
            };
            if tokens.insert(id, token).is_some() {
                return Err(wrong("each id once", &Value::String(key.clone())));
            }
        }
        Ok(Some(tokens))
    }

    /// Returns the texts of all special tokens named, in a fixed order, each once.
    pub(super) fn special_tokens(&self) -> Vec<&str> {
        let mut texts: Vec<&str> = Vec::new();
        let mut seen = HashSet::new();
        let mut push = |text| {
            if seen.insert(text) {
                texts.push(text);
            }
        };
        for source in [&self.fields, &self.special_tokens] {
            for name in NAMED {
                source
                    .get(name)
                    .and_then(content)
                    .into_iter()
                    .for_each(&mut push);
            }
            for name in LISTED {
                match source.get(name) {
                    Some(Value::Array(list)) => list.iter().filter_map(content).for_each(&mut push),
                    Some(Value::Object(by_role)) => {
                        by_role.values().filter_map(content).for_each(&mut push);
                    }
                    _ => {}
                }
            }
        }
        texts
    }
}

/// Returns a token's text, which is a string or an object with one.
pub(super) fn content(token: &Value) -> Option<&str> {
    token
        .as_str()
        .or_else(|| token.get("content").and_then(Value::as_str))
}

fn read_if_there(path: &Path) -> Result<Option<Map<String, Value>>, TokenizerError> {
    if path.is_file() {
        Ok(Some(json_file::read(path)?))
    } else {
        Ok(None)
    }
}
