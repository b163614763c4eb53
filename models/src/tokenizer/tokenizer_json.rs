use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::error::TokenizerError;
use super::vocabulary::LIMIT;
use crate::described::Described;
use crate::json_file;

/// The file of the `tokenizers` library.
pub(super) const FILE: &str = "tokenizer.json";

/// What `tokenizer.json` says.
#[derive(Debug)]
pub(super) struct TokenizerJson {
    pub(super) path: PathBuf,
    pub(super) model: BpeModel,
    pub(super) added_tokens: Vec<AddedEntry>,
    pub(super) normalizer: Value,
    pub(super) pre_tokenizer: Value,
    pub(super) post_processor: Value,
}

#[derive(Debug, Deserialize)]
struct File {
    model: BpeModel,
    #[serde(default)]
    added_tokens: Vec<AddedEntry>,
    #[serde(default)]
    normalizer: Described,
    #[serde(default)]
    pre_tokenizer: Described,
    #[serde(default)]
    post_processor: Described,
}

/// The model of merges; of another model only its type.
#[derive(Debug, Deserialize)]
pub(super) struct BpeModel {
    /// Old files do not say it.
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) vocab: Table,
    #[serde(default)]
    pub(super) merges: Merges,
    pub(super) byte_fallback: Option<bool>,
    pub(super) ignore_merges: Option<bool>,
    pub(super) continuing_subword_prefix: Option<String>,
    pub(super) end_of_word_suffix: Option<String>,
}

/// One of `added_tokens`.
#[derive(Debug, Deserialize)]
pub(super) struct AddedEntry {
    pub(super) id: u32,
    pub(super) content: String,
    #[serde(default)]
    pub(super) special: bool,
}

/// Ids by token; empty where the model's vocabulary is a list.
#[derive(Debug, Default)]
pub(super) struct Table(pub(super) HashMap<String, u32>);

/// Pairs of tokens that become one, first to last.
#[derive(Debug, Default)]
pub(super) struct Merges(pub(super) Vec<Merge>);

/// A pair of tokens that become one.
#[derive(Debug)]
pub(super) struct Merge {
    /// The two, one after the other.
    joined: String,
    /// Where the second begins.
    split: usize,
}

impl Merge {
    pub(super) fn new(left: &str, right: &str) -> Self {
        Self {
            joined: format!("{left}{right}"),
            split: left.len(),
        }
    }

    pub(super) fn joined(&self) -> &str {
        &self.joined
    }

    pub(super) fn pair(&self) -> (&str, &str) {
        self.joined.split_at(self.split)
    }
}

impl TokenizerJson {
    /// Reads the file, if it is there.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, TokenizerError> {
        let path = directory.join(FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let file: File = json_file::read_table(&path)?;
        Ok(Some(Self {
            path,
            model: file.model,
            added_tokens: file.added_tokens,
            normalizer: file.normalizer.0,
            pre_tokenizer: file.pre_tokenizer.0,
            post_processor: file.post_processor.0,
        }))
    }
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tokens;

        impl<'de> Visitor<'de> for Tokens {
            type Value = Table;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of ids by token")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Table, A::Error> {
                let mut tokens = HashMap::new();
                while let Some((token, id)) = map.next_entry::<String, u32>()? {
                    if tokens.len() == LIMIT {
                        return Err(A::Error::custom(format_args!("more than {LIMIT} tokens")));
                    }
                    if tokens.contains_key(&token) {
                        return Err(A::Error::custom(format_args!("`{token}` is there twice")));
                    }
                    tokens.insert(token, id);
                }
                Ok(Table(tokens))
            }

            // A Unigram model's: which model it is, is said elsewhere.
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Table, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Table::default())
            }
        }

        deserializer.deserialize_any(Tokens)
    }
}

impl<'de> Deserialize<'de> for Merges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Merges;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of merges")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Merges, A::Error> {
                let mut merges = Vec::new();
                while let Some(merge) = list.next_element()? {
                    // One token can come of several pairs.
                    if merges.len() == 8 * LIMIT {
                        return Err(A::Error::custom("more merges than tokens can have"));
                    }
                    merges.push(merge);
                }
                Ok(Merges(merges))
            }
        }

        deserializer.deserialize_seq(List)
    }
}

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;

        impl<'de> Visitor<'de> for Pair {
            type Value = Merge;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("two tokens, in a list or with one space between them")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Merge, E> {
                match text.split_once(' ') {
                    Some((left, right)) if !right.contains(' ') => Ok(Merge::new(left, right)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Merge, A::Error> {
                let missing = |count| A::Error::invalid_length(count, &"two tokens");
                let left: String = list.next_element()?.ok_or_else(|| missing(0))?;
                let right: String = list.next_element()?.ok_or_else(|| missing(1))?;
                if list.next_element::<IgnoredAny>()?.is_some() {
                    return Err(missing(3));
                }
                Ok(Merge::new(&left, &right))
            }
        }

        deserializer.deserialize_any(Pair)
    }
}
