//! OpenAI-compatible servers: llama-server, vLLM and what speaks like them.

mod base_url;
mod failure;
mod identity;
mod reply;
mod request;
mod transport;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use shipworthy_schema::{ChatReply, ChatRequest, ModelSource};

use self::base_url::BaseUrl;
use self::failure::Failure;
use self::identity::{Listing, Patience};
use self::request::RequestBody;
use self::transport::Transport;
use crate::{ChatError, ChatModel, OpenError, OpenedModel, Secret};

/// A model behind an OpenAI-compatible server.
struct HttpModel {
    transport: Transport,
    /// The id as the server lists it.
    id: String,
    /// Kept to be struck from errors.
    api_key: Option<Secret>,
    concurrency: usize,
}

/// Opens the model called `wanted` at `url`, waiting a while for a server that is starting.
///
/// `parallel`: calls under way at once at most; a server that tells how many it works on at once
/// lowers it to that.
pub(crate) async fn open(
    url: &str,
    wanted: Option<&str>,
    api_key: Option<&Secret>,
    parallel: u32,
) -> Result<OpenedModel, OpenError> {
    let base = BaseUrl::parse(url)?;
    let shown = base.as_str().to_owned();
    let failed = |failure: Failure| OpenError::Server(failure.into_chat_error(&shown, api_key));
    let transport = Transport::new(base, api_key).map_err(failed)?;
    identity::wait_until_ready(&transport, Patience::USUAL)
        .await
        .map_err(failed)?;
    let listing = Listing::ask(&transport).await.map_err(failed)?;
    let id = listing.choose(&shown, wanted)?;
    let parallel = usize::try_from(parallel).unwrap_or(usize::MAX);
    let model = HttpModel {
        transport,
        id,
        api_key: api_key.cloned(),
        concurrency: parallel
            .min(listing.total_slots.unwrap_or(usize::MAX))
            .max(1),
    };
    Ok(OpenedModel {
        source: model.source(&listing),
        model: Arc::new(model),
    })
}

impl HttpModel {
    fn source(&self, listing: &Listing) -> ModelSource {
        ModelSource::Http {
            url: self.transport.base().as_str().to_owned(),
            model: self.id.clone(),
            served: listing.identity(&self.id),
        }
    }

    fn failed(&self, failure: Failure) -> ChatError {
        failure.into_chat_error(&self.to_string(), self.api_key.as_ref())
    }
}

impl fmt::Display for HttpModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` at {}", self.id, self.transport.base().as_str())
    }
}

#[async_trait]
impl ChatModel for HttpModel {
    async fn chat(&self, request: &ChatRequest) -> Result<ChatReply, ChatError> {
        let body = RequestBody::new(&self.id, request)
            .map_err(|what| self.failed(Failure::Unsent(what.to_owned())))?;
        let reply = match self.transport.chat(&body).await {
            Ok(body) => reply::read(&body),
            Err(failure) => Err(failure),
        };
        reply.map_err(|failure| self.failed(failure))
    }

    async fn identify(&self) -> Result<ModelSource, ChatError> {
        let listing = Listing::ask(&self.transport)
            .await
            .map_err(|failure| self.failed(failure))?;
        match listing.instead_of(&self.id) {
            Some(found) => Err(ChatError::IdentityChanged {
                model: self.to_string(),
                found,
            }),
            None => Ok(self.source(&listing)),
        }
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }
}
