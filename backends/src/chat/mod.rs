//! Chat backends behind one trait.

#[cfg_attr(not(feature = "embedded"), path = "gguf_disabled.rs")]
pub(crate) mod gguf;
pub(crate) mod http;
mod parameter;
mod reasoning;
pub(crate) mod scripted;
mod served;

use async_trait::async_trait;
use shipworthy_schema::{ChatReply, ChatRequest, ModelSource};

pub use self::http::{Connections, Neighbours, check_url};
pub use self::parameter::Parameter;
pub use self::served::{Adaptation, Fingerprint, ServerFacts};
use crate::ChatError;

/// A model that answers chat requests.
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// Answers one request. Cancelling the future gives up the call.
    ///
    /// A model behind a server is looked at again first when the server was out of reach, and once
    /// in a while: [`ChatError::IdentityChanged`] says that another one answers there now.
    async fn chat(&self, request: &ChatRequest) -> Result<ChatReply, ChatError>;

    /// Looks again at what is served, to compare with what was planned.
    async fn identify(&self) -> Result<ModelSource, ChatError>;

    /// Returns how many calls are worth having under way at once.
    fn concurrency(&self) -> usize;

    /// Tells whether something is kept of each thread between its calls, in as many places as there are
    /// calls at once: with more threads, what is kept would be lost.
    fn keeps_threads(&self) -> bool {
        false
    }

    /// Says that a thread (see [`ChatRequest::thread`]) has ended; whatever was kept for it may go.
    fn end_thread(&self, thread: &str) {
        let _ = thread;
    }

    /// Changes how requests are sent from now on.
    fn adapt(&self, adaptation: Adaptation) {
        let _ = adaptation;
    }

    /// Asks the server about itself; a model in this process has none and tells nothing.
    async fn server_facts(&self) -> Result<ServerFacts, ChatError> {
        Ok(ServerFacts::default())
    }

    /// Lets the model go on from `prompt` without chance; `None` where this cannot be asked for.
    async fn fingerprint(&self, prompt: &str) -> Result<Option<Fingerprint>, ChatError> {
        let _ = prompt;
        Ok(None)
    }

    /// Tells whether the server gives log probabilities of a prompt's own tokens; `None` where there
    /// is no server to ask.
    async fn has_prompt_log_probs(&self) -> Result<Option<bool>, ChatError> {
        Ok(None)
    }
}
