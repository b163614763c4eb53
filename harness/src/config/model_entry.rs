use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use shipworthy_backends::{ModelLocation, Secret};
use thiserror::Error;

use super::Count;

/// Conversations held with one model at a time, unless the entry says otherwise.
const DEFAULT_PARALLEL: u32 = 16;

/// Where a model is: exactly one of `gguf`, `url` and `scripted`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, try_from = "ModelEntryFields")]
#[schemars(with = "ModelEntryFields")]
pub struct ModelEntry {
    place: Place,
    parallel: u32,
}

#[derive(Clone, Debug)]
enum Place {
    Gguf {
        path: String,
        context: Option<u32>,
        threads: Option<u32>,
    },
    Url {
        url: String,
        model: Option<String>,
        api_key_env: Option<String>,
    },
    Scripted {
        path: String,
    },
}

/// The fields as written.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ModelEntryFields {
    /// A GGUF file, run in this process by llama.cpp.
    pub(super) gguf: Option<String>,
    /// Tokens of context for one conversation (with `gguf`).
    pub(super) context: Option<Count>,
    /// Threads (with `gguf`).
    pub(super) threads: Option<Count>,
    /// Base URL of an OpenAI-compatible server, e.g. `http://127.0.0.1:8080/v1`.
    pub(super) url: Option<String>,
    /// The model's id at the server (with `url`); may be left out where it serves only one.
    pub(super) model: Option<String>,
    /// Environment variable that holds the API key (with `url`).
    pub(super) api_key_env: Option<String>,
    /// A JSONL file of replies.
    pub(super) scripted: Option<String>,
    /// Conversations held at the same time.
    pub(super) parallel: Option<Count>,
}

/// Says why an entry is no model.
#[derive(Debug, Error, PartialEq)]
pub enum EntryError {
    /// None or several of the places are given.
    #[error("give one of `gguf`, `url` and `scripted`")]
    Place,
    /// A field goes with another kind of model.
    #[error("`{field}` goes with `{with}` only")]
    Misplaced {
        /// The field.
        field: &'static str,
        /// What it goes with.
        with: &'static str,
    },
    /// The environment variable with the key is not set.
    #[error("environment variable `{name}` (named by `api_key_env`) is not set")]
    KeyNotSet {
        /// The variable.
        name: String,
    },
}

impl TryFrom<ModelEntryFields> for ModelEntry {
    type Error = EntryError;

    fn try_from(fields: ModelEntryFields) -> Result<Self, EntryError> {
        let of_gguf = [("context", fields.context), ("threads", fields.threads)];
        let of_url = [
            ("model", &fields.model),
            ("api_key_env", &fields.api_key_env),
        ];
        let stray_gguf = of_gguf.iter().find(|(_, value)| value.is_some());
        let stray_url = of_url.iter().find(|(_, value)| value.is_some());
        let place = match (fields.gguf, fields.url, fields.scripted) {
            (Some(path), None, None) => {
                if let Some((field, _)) = stray_url {
                    return Err(EntryError::Misplaced { field, with: "url" });
                }
                let (context, threads) = (fields.context, fields.threads);
                Place::Gguf {
                    path,
                    context: context.map(Count::get),
                    threads: threads.map(Count::get),
                }
            }
            (None, Some(url), None) => {
                if let Some((field, _)) = stray_gguf {
                    return Err(EntryError::Misplaced {
                        field,
                        with: "gguf",
                    });
                }
                Place::Url {
                    url,
                    model: fields.model,
                    api_key_env: fields.api_key_env,
                }
            }
            (None, None, Some(path)) => {
                if let Some((field, _)) = stray_url {
                    return Err(EntryError::Misplaced { field, with: "url" });
                }
                if let Some((field, _)) = stray_gguf {
                    return Err(EntryError::Misplaced {
                        field,
                        with: "gguf",
                    });
                }
                Place::Scripted { path }
            }
            _ => return Err(EntryError::Place),
        };
        Ok(Self {
            place,
            parallel: fields.parallel.map_or(DEFAULT_PARALLEL, Count::get),
        })
    }
}

impl ModelEntry {
    /// Returns where the model is: paths are relative to `directory`, keys come from `environment`.
    pub fn locate(
        &self,
        directory: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<ModelLocation, EntryError> {
        let parallel = self.parallel;
        Ok(match self.place.clone() {
            Place::Gguf {
                path,
                context,
                threads,
            } => ModelLocation::Gguf {
                path: directory.join(&path),
                shown: path,
                context,
                threads,
                parallel,
            },
            Place::Url {
                url,
                model,
                api_key_env,
            } => {
                let key = |name: String| {
                    let key = environment(&name).filter(|key| !key.is_empty());
                    key.map(Secret::new).ok_or(EntryError::KeyNotSet { name })
                };
                let api_key = api_key_env.map(key).transpose()?;
                ModelLocation::Http {
                    url,
                    model,
                    api_key,
                    parallel,
                }
            }
            Place::Scripted { path } => ModelLocation::Scripted {
                path: directory.join(&path),
                shown: path,
            },
        })
    }

    /// Returns the file the entry names, if it names one.
    pub fn file(&self) -> Option<PathBuf> {
        match &self.place {
            Place::Gguf { path, .. } | Place::Scripted { path } => Some(path.into()),
            Place::Url { .. } => None,
        }
    }
}

/// Declares a model entry with further fields beside the model's own.
///
/// serde's `flatten` would lose the place of an error, so the model's fields are repeated here, in
/// one spot.
macro_rules! entry_with {
    ($(#[$doc:meta])* $name:ident, $fields:ident {
        $($(#[$field_meta:meta])* $field:ident: $type:ty),* $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
        #[serde(try_from = "serde_fields::Fields")]
        #[schemars(with = "serde_fields::Fields")]
        pub struct $name {
            /// The model.
            pub model: $crate::config::ModelEntry,
            $($(#[$field_meta])* pub $field: $type,)*
        }

        mod serde_fields {
            #[allow(unused_imports, reason = "not every entry names a type of its own module")]
            use super::*;
            use $crate::config::model_entry::{EntryError, ModelEntryFields};

            #[derive(Debug, Default, serde::Deserialize, schemars::JsonSchema)]
            #[serde(deny_unknown_fields, default)]
            pub(super) struct Fields {
                gguf: Option<String>,
                context: Option<$crate::config::Count>,
                threads: Option<$crate::config::Count>,
                url: Option<String>,
                model: Option<String>,
                api_key_env: Option<String>,
                scripted: Option<String>,
                parallel: Option<$crate::config::Count>,
                $($(#[$field_meta])* $field: Option<$type>,)*
            }

            impl TryFrom<Fields> for super::$name {
                type Error = EntryError;

                fn try_from(fields: Fields) -> Result<Self, EntryError> {
                    let defaults = super::$fields::default();
                    let model = ModelEntryFields {
                        gguf: fields.gguf,
                        context: fields.context,
                        threads: fields.threads,
                        url: fields.url,
                        model: fields.model,
                        api_key_env: fields.api_key_env,
                        scripted: fields.scripted,
                        parallel: fields.parallel,
                    };
                    Ok(Self {
                        model: model.try_into()?,
                        $($field: fields.$field.unwrap_or(defaults.$field),)*
                    })
                }
            }
        }
    };
}

pub(super) use entry_with;
