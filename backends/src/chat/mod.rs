//! Chat backends behind one trait.

#[cfg_attr(not(feature = "embedded"), path = "gguf_disabled.rs")]
pub(crate) mod gguf;
pub(crate) mod http;
mod reasoning;
pub(crate) mod scripted;

use async_trait::async_trait;
use shipworthy_schema::{ChatReply, ChatRequest, ModelSource};

use crate::ChatError;

/// A model that answers chat requests.
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// Answers one request. Cancelling the future gives up the call.
    async fn chat(&self, request: &ChatRequest) -> Result<ChatReply, ChatError>;

    /// Looks again at what is served, to compare with what was planned.
    async fn identify(&self) -> Result<ModelSource, ChatError>;

    /// Returns how many calls are worth having under way at once.
    fn concurrency(&self) -> usize;

    /// Says that a thread (see [`ChatRequest::thread`]) has ended; whatever was kept for it may go.
    fn end_thread(&self, thread: &str) {
        let _ = thread;
    }
}
