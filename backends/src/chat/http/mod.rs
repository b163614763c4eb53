//! OpenAI-compatible servers: llama-server, vLLM and what speaks like them.

mod base_url;
mod connections;
mod failure;
mod guard;
mod identity;
mod reply;
mod request;
mod slots;
mod transport;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use serde_json::{Value, json};
use shipworthy_schema::{ChatReply, ChatRequest, Message, ModelSource, Role, Sampling};

use self::base_url::BaseUrl;
pub use self::connections::Connections;
use self::failure::Failure;
use self::guard::Guard;
use self::identity::{Listing, Patience};
use self::request::{LlamaServerFields, LoraScale, RequestBody};
use self::slots::Slots;
use self::transport::Transport;
use crate::{
    Adaptation, ChatError, ChatModel, Fingerprint, OpenError, OpenedModel, Secret, ServerFacts,
};

/// Tokens of a fingerprint.
const FINGERPRINT_TOKENS: u32 = 16;

/// Who is asked at the same server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbours {
    /// Models under test, this one among them: they share the server's places.
    pub models: usize,
    /// Other models, such as a judge. A conversation keeps a place only where it is the only model's.
    pub others: usize,
    /// Whether some ask for other scales of adapters: what a prompt cache keeps may be another
    /// model's.
    pub other_adapters: bool,
}

impl Default for Neighbours {
    fn default() -> Self {
        Self {
            models: 1,
            others: 0,
            other_adapters: false,
        }
    }
}

/// Where the server is.
pub(crate) struct Address<'a> {
    pub(crate) url: &'a str,
    pub(crate) api_key: Option<&'a Secret>,
    /// Shared with other models at the same server.
    pub(crate) connections: &'a Connections,
    /// What the plan calls it, if not by its URL.
    pub(crate) shown: Option<&'a str>,
}

/// What is wanted there.
pub(crate) struct Wanted<'a> {
    pub(crate) model: Option<&'a str>,
    pub(crate) lora: Option<&'a BTreeMap<String, f64>>,
    pub(crate) neighbours: Neighbours,
    /// Calls under way at once at most; a server that tells how many it works on at once lowers it
    /// to that.
    pub(crate) parallel: u32,
}

/// A model behind an OpenAI-compatible server.
struct HttpModel {
    transport: Transport,
    /// The server as plans and errors call it.
    shown: String,
    /// The id as the server lists it.
    id: String,
    /// Kept to be struck from errors.
    api_key: Option<Secret>,
    concurrency: usize,
    /// The scale of every adapter of a llama-server.
    scales: Vec<LoraScale>,
    /// Whether prompts may be found in a cache; `None`: the server is not told.
    cache_prompt: Option<bool>,
    /// Places of a llama-server that nobody else uses.
    slots: Option<Slots>,
    adaptation: RwLock<Adaptation>,
    guard: Guard,
}

/// Looks whether `url` may be a server's base URL, without asking anybody.
pub fn check_url(url: &str) -> Result<(), OpenError> {
    BaseUrl::parse(url).map(drop)
}

/// Opens a model at a server, waiting a while for one that is starting.
pub(crate) async fn open(
    address: &Address<'_>,
    wanted: &Wanted<'_>,
) -> Result<OpenedModel, OpenError> {
    let base = BaseUrl::parse(address.url)?;
    let shown = address.shown.unwrap_or(base.as_str()).to_owned();
    let failed =
        |failure: Failure| OpenError::Server(failure.into_chat_error(&shown, address.api_key));
    let pool = address.connections.to(&base).map_err(failed)?;
    let transport = Transport::new(base, pool, address.api_key).map_err(failed)?;
    identity::wait_until_ready(&transport, Patience::USUAL)
        .await
        .map_err(failed)?;
    let listing = Listing::ask(&transport).await.map_err(failed)?;
    let id = listing.choose(&shown, wanted.model)?;
    let scales = listing.scales(&shown, wanted.lora)?;
    let source = source(&shown, &listing, &id, &scales);
    let parallel = usize::try_from(wanted.parallel).unwrap_or(usize::MAX);
    // Requests that choose scales themselves may meet others that choose other ones.
    let Neighbours {
        models,
        others,
        other_adapters,
    } = wanted.neighbours;
    let may_cache = !other_adapters && (wanted.lora.is_none() || scales.is_empty());
    let slots = (listing.total_slots)
        .filter(|_| may_cache && models + others <= 1)
        .map(Slots::new);
    let places = listing.total_slots.map(|slots| slots / models.max(1));
    let guard = Guard::new(source.clone(), transport.watch_connections());
    let model = HttpModel {
        transport,
        shown,
        id,
        api_key: address.api_key.cloned(),
        concurrency: parallel.min(places.unwrap_or(usize::MAX)).max(1),
        scales,
        cache_prompt: listing.is_llama_server.then_some(may_cache),
        slots,
        adaptation: RwLock::default(),
        guard,
    };
    Ok(OpenedModel {
        source,
        model: Arc::new(model),
    })
}

fn source(shown: &str, listing: &Listing, id: &str, scales: &[LoraScale]) -> ModelSource {
    ModelSource::Http {
        url: shown.to_owned(),
        model: listing.served_as(id),
        served: listing.identity(id, scales),
    }
}

impl HttpModel {
    fn failed(&self, failure: Failure) -> ChatError {
        if failure.is_outage() {
            self.guard.suspect();
        }
        failure.into_chat_error(&self.to_string(), self.api_key.as_ref())
    }

    fn adaptation(&self) -> Adaptation {
        (self.adaptation.read())
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn fields(&self, id_slot: Option<usize>) -> LlamaServerFields {
        LlamaServerFields {
            id_slot,
            cache_prompt: self.cache_prompt,
            lora: self.scales.clone(),
        }
    }

    /// Sends one call and returns the JSON that came back, if the planned model still answers.
    async fn send(
        &self,
        request: &ChatRequest,
        id_slot: Option<usize>,
        log_probs: bool,
    ) -> Result<Value, ChatError> {
        let name = self.to_string();
        let identify = async || self.identify().await;
        self.guard.pass(&name, identify).await?;
        let fields = self.fields(id_slot);
        let mut body = RequestBody::new(&self.id, request, &self.adaptation(), fields)
            .map_err(|what| self.failed(Failure::Unsent(what.to_owned())))?;
        if log_probs {
            body = body.with_log_probs();
        }
        let sent = self.transport.chat(&body).await;
        let body = sent.map_err(|failure| self.failed(failure))?;
        self.guard.pass(&name, identify).await?;
        Ok(body)
    }
}

impl fmt::Display for HttpModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` at {}", self.id, self.shown)
    }
}

#[async_trait]
impl ChatModel for HttpModel {
    async fn chat(&self, request: &ChatRequest) -> Result<ChatReply, ChatError> {
        let slots = self.slots.as_ref();
        let id_slot = slots.and_then(|slots| slots.of(&request.thread));
        let body = self.send(request, id_slot, false).await?;
        reply::read(&body).map_err(|failure| self.failed(failure))
    }

    async fn identify(&self) -> Result<ModelSource, ChatError> {
        let listing = Listing::ask(&self.transport)
            .await
            .map_err(|failure| self.failed(failure))?;
        match listing.instead_of(&self.id) {
            Some(found) => Err(ChatError::IdentityChanged {
                model: self.to_string(),
                planned: format!("`{}`", self.id),
                found,
            }),
            None => Ok(source(&self.shown, &listing, &self.id, &self.scales)),
        }
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// A llama-server's places each keep one prompt.
    fn keeps_threads(&self) -> bool {
        self.cache_prompt == Some(true)
    }

    fn end_thread(&self, thread: &str) {
        if let Some(slots) = &self.slots {
            slots.end(thread);
        }
    }

    fn adapt(&self, adaptation: Adaptation) {
        *(self.adaptation.write()).unwrap_or_else(PoisonError::into_inner) = adaptation;
    }

    async fn server_facts(&self) -> Result<ServerFacts, ChatError> {
        let listing = Listing::ask(&self.transport)
            .await
            .map_err(|failure| self.failed(failure))?;
        Ok(listing.facts(&self.id))
    }

    async fn fingerprint(&self, prompt: &str) -> Result<Option<Fingerprint>, ChatError> {
        let request = ChatRequest {
            thread: "fingerprint".to_owned(),
            messages: vec![Message::new(Role::User, prompt)],
            sampling: Sampling {
                temperature: 0.0,
                top_p: 1.0,
                max_tokens: FINGERPRINT_TOKENS,
                ..Sampling::default()
            },
            response_schema: None,
        };
        let body = match self.send(&request, None, true).await {
            // Some servers give no log probabilities of some models.
            Err(ChatError::Refused { .. }) => self.send(&request, None, false).await?,
            sent => sent?,
        };
        let reply = reply::read(&body).map_err(|failure| self.failed(failure))?;
        Ok(Some(Fingerprint {
            // What it thinks is its own too.
            text: reply.reasoning.unwrap_or_default() + &reply.content,
            log_probs: reply::log_probs(&body),
        }))
    }

    async fn has_prompt_log_probs(&self) -> Result<Option<bool>, ChatError> {
        let url = self.transport.base().join("/completions");
        let body = json!({
            "model": self.id,
            "prompt": "The sky is blue.",
            "max_tokens": 1,
            "temperature": 0,
            "prompt_logprobs": 1,
        });
        match self.transport.post(&url, &body).await {
            Ok(body) => {
                let found = body.pointer("/choices/0/prompt_logprobs");
                Ok(Some(found.is_some_and(Value::is_array)))
            }
            Err(Failure::Status {
                status: 400..=499 | 501,
                ..
            }) => Ok(Some(false)),
            Err(failure) => Err(self.failed(failure)),
        }
    }
}
