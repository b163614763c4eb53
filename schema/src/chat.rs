use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Digest, Message, Sampling};

/// One question to a chat model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// Names the conversation, so that a backend may keep its prompt cache between turns.
    pub thread: String,
    /// The conversation so far; the last message is not the assistant's.
    pub messages: Vec<Message>,
    /// How to draw tokens; `seed` is this turn's own.
    pub sampling: Sampling,
    /// The JSON the reply must be, if any.
    pub response_schema: Option<ResponseSchema>,
}

impl ChatRequest {
    /// Returns the digest of all that is asked: the thread, every message's role and content, and how
    /// tokens are drawn and the reply's schema, both as JSON.
    pub fn digest(&self) -> Digest {
        let sampling = serde_json::to_vec(&self.sampling).expect("numbers are plain data");
        let schema = self.response_schema.as_ref();
        let schema = serde_json::to_vec(&schema).expect("a schema is plain data");
        let messages = self.messages.iter();
        let messages = messages.flat_map(|said| [said.role.name(), said.content.as_str()]);
        let texts = std::iter::once(self.thread.as_str()).chain(messages);
        let texts = texts.map(str::as_bytes);
        Digest::of_parts(texts.chain([sampling.as_slice(), schema.as_slice()]))
    }
}

/// A JSON schema a reply is asked to follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResponseSchema {
    /// Name as the OpenAI API wants one.
    pub name: String,
    /// The JSON schema.
    pub schema: Value,
}

/// What a chat model answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatReply {
    /// The answer, without reasoning.
    pub content: String,
    /// The reasoning, where the server or the text set it apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Why the model stopped.
    pub finish_reason: FinishReason,
    /// Tokens counted by whoever ran the model.
    #[serde(default)]
    pub usage: Usage,
}

/// Why a reply ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended its turn.
    Stop,
    /// `max_tokens` or the context cut it off.
    Length,
    /// The model called a tool.
    ToolCalls,
    /// The server's own word for anything else.
    Other(String),
}

impl FinishReason {
    /// Returns its name in the chat completions API.
    pub fn name(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::Other(word) => word,
        }
    }
}

/// Token counts of one call; `None` where the server did not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub prompt_tokens: Option<u64>,
    /// Prompt tokens that came from a cache.
    pub cached_tokens: Option<u64>,
    /// Tokens of the reply, reasoning included.
    pub completion_tokens: Option<u64>,
    /// Tokens of the reply that were reasoning.
    pub reasoning_tokens: Option<u64>,
}
