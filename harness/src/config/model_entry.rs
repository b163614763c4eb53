use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use shipworthy_backends::{Connections, ModelLocation, Neighbours, Secret, check_url};
use thiserror::Error;

use super::{Count, Price};

/// Conversations held with one model at a time, unless the entry says otherwise.
const DEFAULT_PARALLEL: u32 = 16;

/// Where a model is: exactly one of `gguf`, `url`, `server` and `scripted`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, try_from = "ModelEntryFields")]
#[schemars(with = "ModelEntryFields")]
pub struct ModelEntry {
    place: Place,
    parallel: u32,
    reuse: Option<bool>,
    price: Option<Price>,
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
        lora: Option<BTreeMap<String, f64>>,
    },
    Server {
        server: String,
        model: Option<String>,
        lora: Option<BTreeMap<String, f64>>,
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
    /// A server of `serve`, by its name there.
    pub(super) server: Option<String>,
    /// The model's id at the server (with `url` or `server`); may be left out where it serves only
    /// one.
    pub(super) model: Option<String>,
    /// Scales of a llama-server's adapters, by file, file name or number (with `url` or `server`);
    /// an adapter that is not named is off.
    pub(super) lora: Option<BTreeMap<String, f64>>,
    /// Environment variable that holds the API key (with `url`).
    pub(super) api_key_env: Option<String>,
    /// A JSONL file of replies.
    pub(super) scripted: Option<String>,
    /// Conversations held at the same time.
    pub(super) parallel: Option<Count>,
    /// Whether other runs may be answered with what it said: `true` vouches that what is served
    /// there stays the same. Files are known by their content; for them it is `true` if left out.
    pub(super) reuse: Option<bool>,
    /// What its tokens cost.
    pub(super) price: Option<Price>,
}

/// Says why an entry is no model.
#[derive(Debug, Error, PartialEq)]
pub enum EntryError {
    /// None or several of the places are given.
    #[error("give one of `gguf`, `url`, `server` and `scripted`")]
    Place,
    /// A field goes with another kind of model.
    #[error("`{field}` goes with `{with}` only")]
    Misplaced {
        /// The field.
        field: &'static str,
        /// What it goes with.
        with: &'static str,
    },
    /// The URL is no server's.
    #[error("{0}")]
    Url(String),
    /// An adapter's scale is no number.
    #[error("`lora`: the scale of `{adapter}` is {scale}, which is no finite number")]
    Scale {
        /// The adapter.
        adapter: String,
        /// Its scale.
        scale: f64,
    },
    /// No server of that name is started.
    #[error("no server of `serve` is named `{server}`")]
    NoServer {
        /// The name.
        server: String,
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
        let of_gguf = [
            ("context", fields.context.is_some()),
            ("threads", fields.threads.is_some()),
        ];
        let of_server = [
            ("model", fields.model.is_some()),
            ("lora", fields.lora.is_some()),
        ];
        let of_url = [("api_key_env", fields.api_key_env.is_some())];
        let refuse = |given: &[(&'static str, bool)], with| match given.iter().find(|(_, is)| *is) {
            Some((field, _)) => Err(EntryError::Misplaced { field, with }),
            None => Ok(()),
        };
        let mut scales = fields.lora.iter().flatten();
        if let Some((adapter, scale)) = scales.find(|(_, scale)| !scale.is_finite()) {
            let (adapter, scale) = (adapter.clone(), *scale);
            return Err(EntryError::Scale { adapter, scale });
        }
        let place = match (fields.gguf, fields.url, fields.server, fields.scripted) {
            (Some(path), None, None, None) => {
                refuse(&of_server, "url` or `server")?;
                refuse(&of_url, "url")?;
                let (context, threads) = (fields.context, fields.threads);
                Place::Gguf {
                    path,
                    context: context.map(Count::get),
                    threads: threads.map(Count::get),
                }
            }
            (None, Some(url), None, None) => {
                refuse(&of_gguf, "gguf")?;
                check_url(&url).map_err(|error| EntryError::Url(error.to_string()))?;
                Place::Url {
                    url,
                    model: fields.model,
                    api_key_env: fields.api_key_env,
                    lora: fields.lora,
                }
            }
            (None, None, Some(server), None) => {
                refuse(&of_gguf, "gguf")?;
                // Its key is the server's, which `serve` names.
                refuse(&of_url, "url")?;
                Place::Server {
                    server,
                    model: fields.model,
                    lora: fields.lora,
                }
            }
            (None, None, None, Some(path)) => {
                refuse(&of_server, "url` or `server")?;
                refuse(&of_url, "url")?;
                refuse(&of_gguf, "gguf")?;
                Place::Scripted { path }
            }
            _ => return Err(EntryError::Place),
        };
        Ok(Self {
            place,
            parallel: fields.parallel.map_or(DEFAULT_PARALLEL, Count::get),
            reuse: fields.reuse,
            price: fields.price,
        })
    }
}

impl ModelEntry {
    /// Returns an entry for the GGUF file `path`, with this entry's settings where it has one too.
    #[must_use]
    pub fn with_gguf(&self, path: String) -> Self {
        let (context, threads) = match &self.place {
            Place::Gguf {
                context, threads, ..
            } => (*context, *threads),
            _ => (None, None),
        };
        let place = Place::Gguf {
            path,
            context,
            threads,
        };
        let is_file = matches!(self.place, Place::Gguf { .. });
        Self {
            place,
            parallel: if is_file {
                self.parallel
            } else {
                DEFAULT_PARALLEL
            },
            reuse: None,
            price: None,
        }
    }

    /// Returns where the model is.
    pub fn locate(&self, surroundings: &Surroundings<'_>) -> Result<ModelLocation, EntryError> {
        let parallel = self.parallel;
        let directory = surroundings.directory;
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
                lora,
            } => {
                let key = |name: String| surroundings.key(&name);
                ModelLocation::Http {
                    api_key: api_key_env.map(key).transpose()?,
                    connections: surroundings.connections.clone(),
                    neighbours: surroundings.neighbours(&url),
                    url,
                    model,
                    lora,
                    shown: None,
                    parallel,
                }
            }
            Place::Server {
                server,
                model,
                lora,
            } => {
                let shown = served_name(&server);
                let Some(served) = surroundings.servers.get(&server) else {
                    return Err(EntryError::NoServer { server });
                };
                ModelLocation::Http {
                    url: served.url.clone(),
                    model,
                    api_key: served.api_key.clone(),
                    connections: surroundings.connections.clone(),
                    lora,
                    neighbours: surroundings.neighbours(&shown),
                    shown: Some(shown),
                    parallel,
                }
            }
            Place::Scripted { path } => ModelLocation::Scripted {
                path: directory.join(&path),
                shown: path,
            },
        })
    }

    /// Tells whether other runs may be answered with what the model said.
    pub fn may_be_reused(&self) -> bool {
        self.reuse.unwrap_or(self.file().is_some())
    }

    /// Returns what its tokens cost: what the entry says, else nothing if it runs here; `None` where
    /// nobody knows.
    pub fn price(&self) -> Option<Price> {
        let runs_here = !matches!(self.place, Place::Url { .. });
        self.price.or(runs_here.then(Price::default))
    }

    /// Tells whether the entry itself says what its tokens cost.
    pub fn has_price(&self) -> bool {
        self.price.is_some()
    }

    /// Returns how many conversations are held with it at a time.
    pub fn parallel(&self) -> u32 {
        self.parallel
    }

    /// Returns the server of `serve` that the entry names, if it names one.
    pub fn server(&self) -> Option<&str> {
        match &self.place {
            Place::Server { server, .. } => Some(server),
            _ => None,
        }
    }

    /// Returns the variable with the entry's API key, if it names one.
    pub fn api_key_env(&self) -> Option<&str> {
        match &self.place {
            Place::Url { api_key_env, .. } => api_key_env.as_deref(),
            _ => None,
        }
    }

    /// Returns the server that the entry is at, by address or name, with the scales of its adapters.
    fn site(&self) -> Option<(String, Option<&BTreeMap<String, f64>>)> {
        match &self.place {
            Place::Url { url, lora, .. } => Some((plain(url), lora.as_ref())),
            Place::Server { server, lora, .. } => Some((served_name(server), lora.as_ref())),
            Place::Gguf { .. } | Place::Scripted { .. } => None,
        }
    }

    /// Returns the file the entry names, if it names one.
    pub fn file(&self) -> Option<PathBuf> {
        match &self.place {
            Place::Gguf { path, .. } | Place::Scripted { path } => Some(path.into()),
            Place::Url { .. } | Place::Server { .. } => None,
        }
    }
}

/// What a plan calls a server of `serve`: its port differs from run to run.
fn served_name(server: &str) -> String {
    format!("serve:{server}")
}

/// Returns a URL so that two spellings of one server mostly are one.
fn plain(url: &str) -> String {
    let url = url
        .trim()
        .to_ascii_lowercase()
        .replace("//localhost", "//127.0.0.1");
    let url = url.trim_end_matches('/');
    url.strip_suffix("/v1").unwrap_or(url).to_owned()
}

/// A server that was started.
#[derive(Clone, Debug)]
pub struct Served {
    /// Its base URL.
    pub url: String,
    /// The key that it wants.
    pub api_key: Option<Secret>,
}

/// What is around an entry.
pub struct Surroundings<'a> {
    /// Paths are relative to it.
    pub directory: &'a Path,
    /// API keys come from it.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// The servers of `serve`, by name.
    pub servers: &'a BTreeMap<String, Served>,
    /// Every entry of the configuration, with whether it is a model under test.
    pub entries: Vec<(&'a ModelEntry, bool)>,
    /// What they reach servers by.
    pub connections: Connections,
}

impl Surroundings<'_> {
    /// Returns the key in the variable `name`.
    pub fn key(&self, name: &str) -> Result<Secret, EntryError> {
        let key = (self.environment)(name).filter(|key| !key.is_empty());
        let name = name.to_owned();
        key.map(Secret::new).ok_or(EntryError::KeyNotSet { name })
    }

    /// Returns who is at the server `site`.
    fn neighbours(&self, site: &str) -> Neighbours {
        let site = plain(site);
        let there = (self.entries.iter())
            .filter_map(|(entry, is_tested)| Some((entry.site()?, *is_tested)))
            .filter(|((other, _), _)| *other == site)
            .map(|((_, lora), is_tested)| (lora, is_tested))
            .collect::<Vec<_>>();
        let models = there.iter().filter(|(_, is_tested)| *is_tested).count();
        Neighbours {
            models: models.max(1),
            others: there.len().saturating_sub(models.max(1)),
            other_adapters: there.iter().any(|(lora, _)| *lora != there[0].0),
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
                server: Option<String>,
                model: Option<String>,
                lora: Option<std::collections::BTreeMap<String, f64>>,
                api_key_env: Option<String>,
                scripted: Option<String>,
                parallel: Option<$crate::config::Count>,
                reuse: Option<bool>,
                price: Option<$crate::config::Price>,
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
                        server: fields.server,
                        model: fields.model,
                        lora: fields.lora,
                        api_key_env: fields.api_key_env,
                        scripted: fields.scripted,
                        parallel: fields.parallel,
                        reuse: fields.reuse,
                        price: fields.price,
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

#[cfg(test)]
mod tests {
    use super::{Connections, ModelEntry, Neighbours, Surroundings};

    #[test]
    fn entries_at_one_server_know_of_each_other() {
        let read =
            |text: &str| -> ModelEntry { shipworthy_schema::yaml::read(text, "e.yaml").unwrap() };
        let base = read("{url: 'http://localhost:1/v1', lora: {}}");
        let tuned = read("{url: 'http://127.0.0.1:1', lora: {tuned.gguf: 1}}");
        let (judge, alone) = (read("{url: 'http://127.0.0.1:2'}"), read("{server: main}"));
        let of = |entries: &[(&ModelEntry, bool)], site: &str| {
            let surroundings = Surroundings {
                directory: "".as_ref(),
                environment: &|_| None,
                servers: &std::collections::BTreeMap::new(),
                entries: entries.to_vec(),
                connections: Connections::default(),
            };
            surroundings.neighbours(site)
        };
        let all = [
            (&base, true),
            (&tuned, true),
            (&judge, false),
            (&alone, true),
        ];
        let shared = Neighbours {
            models: 2,
            others: 0,
            other_adapters: true,
        };
        assert_eq!(of(&all, "http://127.0.0.1:1/v1/"), shared);
        assert_eq!(of(&all, "serve:main"), Neighbours::default());
        assert_eq!(of(&all, "http://127.0.0.1:2/v1"), Neighbours::default());
        let with_judge = [(&judge, false), (&judge, true)];
        let neighbours = of(&with_judge, "http://127.0.0.1:2/v1");
        assert_eq!((neighbours.others, neighbours.other_adapters), (1, false));
    }
}
