use std::time::Duration;

use serde_json::Value;
use shipworthy_schema::{Digest, ServedIdentity};
use tokio::time::Instant;

use super::failure::Failure;
use super::transport::Transport;
use crate::OpenError;

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
        loading: Duration::from_secs(60),
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
}

#[derive(Debug)]
struct ListedModel {
    id: String,
    aliases: Vec<String>,
    n_params: Option<u64>,
    root: Option<String>,
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
        Ok(Self {
            models,
            // Its router mode, which has no model of its own, says `none`.
            model_path: text("model_path")
                .filter(|path| !matches!(*path, "" | "none"))
                .map(str::to_owned),
            chat_template: text("chat_template").map(|template| Digest::of(template.as_bytes())),
            total_slots: props
                .get("total_slots")
                .and_then(Value::as_u64)
                .and_then(|slots| usize::try_from(slots).ok()),
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

    /// Returns what proves later that `id` is still the same model.
    pub(super) fn identity(&self, id: &str) -> ServedIdentity {
        let listed = self.models.iter().flatten().find(|model| model.id == id);
        ServedIdentity {
            model_path: self.model_path.clone().or_else(|| listed?.root.clone()),
            n_params: listed.and_then(|model| model.n_params),
            chat_template: self.chat_template.clone(),
        }
    }

    fn ids(&self) -> Vec<String> {
        let mut ids: Vec<_> = self.models.iter().flatten().map(|m| m.id.clone()).collect();
        ids.sort();
        ids.dedup();
        ids
    }
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
                root: model.get("root").and_then(Value::as_str).map(str::to_owned),
            })
        })
        .collect()
}

/// Returns what follows the last separator; the server may run on another system than this one.
fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use test_case::test_case;

    use super::{Listing, listed_models};

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

    #[test]
    fn a_server_without_a_list_is_believed() {
        let listing = Listing::default();
        assert_eq!(listing.choose("u", Some("m")).unwrap(), "m");
        assert!(listing.choose("u", None).is_err());
    }
}
