use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use shipworthy_schema::{Digest, ServedAdapter, ServedIdentity};
use tokio::time::Instant;

use super::failure::Failure;
use super::request::LoraScale;
use super::transport::Transport;
use crate::{OpenError, ServerFacts};

/// How long to wait for a server that is not ready.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// While nobody answers: the server may be about to listen.
    pub(super) refused: Duration,
    /// While it says that it is loading the model.
    pub(super) loading: Duration,
    /// Between two questions.
    pub(super) pause: Duration,
}

impl Patience {
    pub(super) const USUAL: Self = Self {
        refused: Duration::from_secs(3),
        loading: Duration::from_secs(300),
        pause: Duration::from_millis(200),
    };
}

/// Waits until the server answers and has its model loaded.
///
/// A server without `/health` counts as ready; the questions that follow will show.
pub(super) async fn wait_until_ready(
    transport: &Transport,
    patience: Patience,
) -> Result<(), Failure> {
    let url = transport.base().beside("/health");
    let start = Instant::now();
    loop {
        let (failure, limit) = match transport.get(&url).await {
            Err(failure @ (Failure::Lost(_) | Failure::Unreached(_))) => {
                (failure, patience.refused)
            }
            Err(
                failure @ Failure::Status {
                    status: 502..=504, ..
                },
            ) => (failure, patience.loading),
            // vLLM's answer has no body, other servers know no such path.
            Ok(_) | Err(_) => return Ok(()),
        };
        if start.elapsed() + patience.pause > limit {
            return Err(failure);
        }
        tokio::time::sleep(patience.pause).await;
    }
}

/// What a server says of itself.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// `/v1/models`; `None` where the server has no such list.
    models: Option<Vec<ListedModel>>,
    model_path: Option<String>,
    chat_template: Option<Digest>,
    /// Requests it works on at once.
    pub(super) total_slots: Option<usize>,
    /// Whether it is llama-server, the only one with `/props` and its own fields in requests.
    pub(super) is_llama_server: bool,
    /// Its build, where it tells.
    build: Option<String>,
    /// Tokens of one conversation.
    context: Option<u64>,
    /// `/lora-adapters`, which only llama-server has.
    pub(super) adapters: Vec<Adapter>,
}

/// An adapter that llama-server has loaded.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Adapter {
    pub(super) id: u64,
    pub(super) path: String,
    /// The scale of requests that name none.
    pub(super) scale: f64,
}

#[derive(Debug)]
struct ListedModel {
    id: String,
    aliases: Vec<String>,
    n_params: Option<u64>,
    root: Option<String>,
    parent: Option<String>,
    max_model_len: Option<u64>,
    owned_by: Option<String>,
}

impl Listing {
    /// Asks `/v1/models`, then `/props`, which only llama-server has.
    pub(super) async fn ask(transport: &Transport) -> Result<Self, Failure> {
        let base = transport.base();
        let models = match transport.get(&base.join("/models")).await {
            Ok(body) => Some(listed_models(&body)?),
            Err(Failure::Status {
                status: 404 | 405 | 501,
                ..
            }) => None,
            Err(failure) => return Err(failure),
        };
        let props = match transport.get(&base.beside("/props")).await {
            Ok(props) => props,
            // Gone or loading again: what it serves is not known after all.
            Err(
                failure @ (Failure::Lost(_)
                | Failure::Unreached(_)
                | Failure::Status {
                    status: 502..=504, ..
                }),
            ) => {
                return Err(failure);
            }
            Err(_) => Value::Null,
        };
        let text = |field: &str| props.get(field).and_then(Value::as_str);
        let total_slots = props.get("total_slots").and_then(Value::as_u64);
        let is_llama_server = total_slots.is_some();
        let adapters = if is_llama_server {
            adapters(transport).await?
        } else {
            Vec::new()
        };
        Ok(Self {
            is_llama_server,
            adapters,
            build: text("build_info").map(str::to_owned),
            context: props
                .pointer("/default_generation_settings/n_ctx")
                .and_then(Value::as_u64),
            models,
            // Its router mode, which has no model of its own, says `none`.
            model_path: text("model_path")
                .filter(|path| !matches!(*path, "" | "none"))
                .map(str::to_owned),
            chat_template: text("chat_template").map(|template| Digest::of(template.as_bytes())),
            total_slots: total_slots.and_then(|slots| usize::try_from(slots).ok()),
        })
    }

    /// Returns the id to send for the model that the configuration calls `wanted`.
    ///
    /// Fits: an id, one of its aliases, the file name of an id that is a path, and the path or
    /// file name of what a server with one model has loaded. Without `wanted` the server must
    /// list one model only.
    pub(super) fn choose(&self, url: &str, wanted: Option<&str>) -> Result<String, OpenError> {
        let models = self.models.as_deref().unwrap_or_default();
        let Some(wanted) = wanted else {
            return match models {
                [only] => Ok(only.id.clone()),
                _ => Err(OpenError::WhichModel {
                    url: url.to_owned(),
                    served: self.ids(),
                }),
            };
        };
        if self.models.is_none() {
            return Ok(wanted.to_owned());
        }
        let is_wanted = |name: &str| name == wanted || file_name(name) == wanted;
        let by_id = models.iter().find(|model| model.id == wanted);
        let by_name = || {
            models
                .iter()
                .find(|model| is_wanted(&model.id) || model.aliases.iter().any(|a| a == wanted))
        };
        let by_file = || match models {
            [only] => self
                .model_path
                .as_deref()
                .is_some_and(is_wanted)
                .then_some(only),
            _ => None,
        };
        match by_id.or_else(by_name).or_else(by_file) {
            Some(model) => Ok(model.id.clone()),
            None => Err(OpenError::OtherModel {
                url: url.to_owned(),
                wanted: wanted.to_owned(),
                served: self.ids(),
            }),
        }
    }

    /// Says what the server lists where that is not `id` any more.
    pub(super) fn instead_of(&self, id: &str) -> Option<String> {
        let models = self.models.as_ref()?;
        let is_listed = models.iter().any(|model| model.id == id);
        (!is_listed).then(|| format!("`{}`", self.ids().join("`, `")))
    }

    /// Returns what proves later that `id` is still the same model, asked with these scales of its
    /// adapters.
    pub(super) fn identity(&self, id: &str, scales: &[LoraScale]) -> ServedIdentity {
        let listed = self.listed(id);
        let scale_of = |adapter: &Adapter| {
            let asked = scales.iter().find(|scale| scale.id == adapter.id);
            asked.map_or(adapter.scale, |asked| asked.scale)
        };
        let served = |adapter: &Adapter| ServedAdapter {
            path: adapter.path.clone(),
            scale: scale_of(adapter),
        };
        ServedIdentity {
            model_path: self.model_path.clone().or_else(|| listed?.root.clone()),
            n_params: listed.and_then(|model| model.n_params),
            chat_template: self.chat_template.clone(),
            parent: listed.and_then(|model| model.parent.clone()),
            lora: self.adapters.iter().map(served).collect(),
        }
    }

    /// Returns the id that answers where `id` was asked for: `id` itself, or what is listed instead.
    pub(super) fn served_as(&self, id: &str) -> String {
        match &self.models {
            Some(models) if models.iter().all(|model| model.id != id) => self.ids().join(", "),
            _ => id.to_owned(),
        }
    }

    /// Returns the scale of every adapter: as `wanted` says, by file, file name or number, and 0
    /// for one it does not name; without it the server's own.
    pub(super) fn scales(
        &self,
        url: &str,
        wanted: Option<&BTreeMap<String, f64>>,
    ) -> Result<Vec<LoraScale>, OpenError> {
        let Some(wanted) = wanted else {
            let own = |adapter: &Adapter| LoraScale {
                id: adapter.id,
                scale: adapter.scale,
            };
            return Ok(self.adapters.iter().map(own).collect());
        };
        let is_called = |adapter: &Adapter, name: &str| {
            adapter.path == name
                || file_name(&adapter.path) == name
                || adapter.id.to_string() == name
        };
        let is_loaded = |name: &str| self.adapters.iter().any(|a| is_called(a, name));
        // A base that is asked for without adapters needs none to be loaded.
        if let Some(missing) = wanted.keys().find(|name| !is_loaded(name)) {
            return Err(OpenError::NoAdapter {
                url: url.to_owned(),
                wanted: missing.clone(),
                loaded: self.adapters.iter().map(|a| a.path.clone()).collect(),
            });
        }
        let asked = |adapter: &Adapter| {
            let named = wanted.iter().find(|(name, _)| is_called(adapter, name));
            LoraScale {
                id: adapter.id,
                scale: named.map_or(0.0, |(_, scale)| *scale),
            }
        };
        Ok(self.adapters.iter().map(asked).collect())
    }

    /// Returns what the server tells of itself, of the model `id` in particular.
    pub(super) fn facts(&self, id: &str) -> ServerFacts {
        let listed = self.listed(id);
        let software = if self.is_llama_server {
            let build = self.build.as_deref().unwrap_or("of an unknown build");
            Some(format!("llama-server {build}"))
        } else {
            listed.and_then(|model| model.owned_by.clone())
        };
        let named = self.models.iter().flatten();
        let named = named.filter(|model| model.parent.is_some());
        ServerFacts {
            software,
            // vLLM says it of the base only.
            context: self.context.or_else(|| {
                let listed = listed?;
                let base = || self.listed(listed.parent.as_deref()?)?.max_model_len;
                listed.max_model_len.or_else(base)
            }),
            slots: self.total_slots,
            adapters: (self.adapters.iter().map(|adapter| adapter.path.clone()))
                .chain(named.map(|model| model.id.clone()))
                .collect(),
        }
    }

    fn listed(&self, id: &str) -> Option<&ListedModel> {
        self.models.iter().flatten().find(|model| model.id == id)
    }

    fn ids(&self) -> Vec<String> {
        let mut ids: Vec<_> = self.models.iter().flatten().map(|m| m.id.clone()).collect();
        ids.sort();
        ids.dedup();
        ids
    }
}

/// Asks `/lora-adapters`; a server that has no such list has no adapters.
async fn adapters(transport: &Transport) -> Result<Vec<Adapter>, Failure> {
    let list = match transport
        .get(&transport.base().beside("/lora-adapters"))
        .await
    {
        Ok(list) => list,
        Err(
            failure @ (Failure::Lost(_)
            | Failure::Status {
                status: 502..=504, ..
            }),
        ) => return Err(failure),
        Err(_) => return Ok(Vec::new()),
    };
    let adapter = |value: &Value| {
        Some(Adapter {
            id: value.get("id")?.as_u64()?,
            path: value.get("path")?.as_str()?.to_owned(),
            scale: value.get("scale")?.as_f64()?,
        })
    };
    let listed = list.as_array().into_iter().flatten();
    listed
        .map(|value| {
            adapter(value).ok_or_else(|| {
                Failure::NotAReply(format!(
                    "list of adapters: one lacks `id`, `path` or `scale`: `{value}`"
                ))
            })
        })
        .collect()
}

fn listed_models(body: &Value) -> Result<Vec<ListedModel>, Failure> {
    let wrong = |what: &str| Failure::NotAReply(format!("list of models: {what}: `{body}`"));
    let data = body
        .get("data")
        .and_then(Value::as_array)
        .ok_or_else(|| wrong("field `data` is missing or no list"))?;
    data.iter()
        .map(|model| {
            let id = model
                .get("id")
                .and_then(Value::as_str)
                .ok_or_else(|| wrong("a model has no `id`"))?;
            let aliases = model.get("aliases").and_then(Value::as_array);
            Ok(ListedModel {
                id: id.to_owned(),
                aliases: aliases
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect(),
                n_params: model.pointer("/meta/n_params").and_then(Value::as_u64),
                root: text(model, "root"),
                parent: text(model, "parent"),
                max_model_len: model.get("max_model_len").and_then(Value::as_u64),
                owned_by: text(model, "owned_by"),
            })
        })
        .collect()
}

fn text(value: &Value, field: &str) -> Option<String> {
    value.get(field).and_then(Value::as_str).map(str::to_owned)
}

/// Returns what follows the last separator; the server may run on another system than this one.
fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use test_case::test_case;

    use super::{Adapter, Listing, listed_models};

    fn listing(ids: &[&str], path: Option<&str>) -> Listing {
        let data: Vec<_> = ids
            .iter()
            .map(|id| json!({"id": id, "aliases": ["nick"]}))
            .collect();
        Listing {
            models: Some(listed_models(&json!({ "data": data })).unwrap()),
            model_path: path.map(str::to_owned),
            ..Listing::default()
        }
    }

    #[test_case(&["tuned"], None, Some("tuned"), Some("tuned"); "the id")]
    #[test_case(&["/m/a.gguf"], None, Some("a.gguf"), Some("/m/a.gguf"); "the file name of a path")]
    #[test_case(&["C:\\m\\a.gguf"], None, Some("a.gguf"), Some("C:\\m\\a.gguf"); "another system's path")]
    #[test_case(&["x"], Some("/m/a.gguf"), Some("a.gguf"), Some("x"); "the file behind an alias")]
    #[test_case(&["x"], None, Some("nick"), Some("x"); "an alias")]
    #[test_case(&["base", "tuned"], None, Some("tuned"), Some("tuned"); "one of several")]
    #[test_case(&["x"], Some("/m/b.gguf"), Some("a.gguf"), None; "another file")]
    #[test_case(&["x", "y"], Some("/m/a.gguf"), Some("a.gguf"), None; "a file that may be either's")]
    #[test_case(&["x"], None, None, Some("x"); "the only one")]
    #[test_case(&["x", "y"], None, None, None; "unnamed among several")]
    #[test_case(&[], None, None, None; "unnamed among none")]
    fn chooses(ids: &[&str], path: Option<&str>, wanted: Option<&str>, chosen: Option<&str>) {
        let choice = listing(ids, path).choose("http://h/v1", wanted);
        assert_eq!(choice.ok().as_deref(), chosen);
    }

    #[test_case(None, Some(&[1.0, 0.5]); "the server's own")]
    #[test_case(Some(&[]), Some(&[0.0, 0.0]); "none")]
    #[test_case(Some(&[("tuned.gguf", 0.75)]), Some(&[0.75, 0.0]); "by file name")]
    #[test_case(Some(&[("/a/other.gguf", 2.0), ("0", 1.0)]), Some(&[1.0, 2.0]); "by path and number")]
    #[test_case(Some(&[("tuned", 1.0)]), None; "not loaded")]
    fn every_adapter_gets_a_scale(wanted: Option<&[(&str, f64)]>, expected: Option<&[f64]>) {
        let adapter = |id: u64, path: &str, scale| Adapter {
            id,
            path: path.to_owned(),
            scale,
        };
        let listing = Listing {
            adapters: vec![
                adapter(0, "/a/tuned.gguf", 1.0),
                adapter(1, "/a/other.gguf", 0.5),
            ],
            ..Listing::default()
        };
        let wanted = wanted.map(|pairs| {
            let owned = |(name, scale): &(&str, f64)| ((*name).to_owned(), *scale);
            pairs.iter().map(owned).collect()
        });
        let scales = listing.scales("http://h/v1", wanted.as_ref()).ok();
        let scales = scales.map(|scales| scales.iter().map(|s| s.scale).collect::<Vec<_>>());
        assert_eq!(scales.as_deref(), expected);
    }

    #[test]
    fn a_server_without_a_list_is_believed() {
        let listing = Listing::default();
        assert_eq!(listing.choose("u", Some("m")).unwrap(), "m");
        assert!(listing.choose("u", None).is_err());
    }
}
