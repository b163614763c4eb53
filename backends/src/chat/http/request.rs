use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use shipworthy_schema::{ChatRequest, Message, Role};

use crate::{Adaptation, Parameter};

/// What llama-server is told besides: no other server gets these fields, because some refuse what
/// they do not know.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct LlamaServerFields {
    /// The place that keeps this conversation's prompt cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id_slot: Option<usize>,
    /// Whether what a place or the server keeps of earlier prompts may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cache_prompt: Option<bool>,
    /// The scale of every adapter that is loaded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) lora: Vec<LoraScale>,
}

/// An adapter's scale as llama-server wants it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct LoraScale {
    /// Its number in `/lora-adapters`.
    pub(super) id: u64,
    /// Its scale.
    pub(super) scale: f64,
}

/// The body of a call: only what is written here is sent, whatever the client library knows.
///
/// There are no stop strings (a reasoning model may write one while it thinks) and no empty fields
/// (vLLM refuses `tools: []`).
#[derive(Debug, Serialize)]
pub(super) struct RequestBody<'a> {
    model: &'a str,
    messages: Cow<'a, [Message]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u32>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u32>,
    #[serde(flatten)]
    llama_server: LlamaServerFields,
}

#[derive(Debug, Serialize)]
struct ResponseFormat<'a> {
    r#type: &'static str,
    json_schema: JsonSchema<'a>,
}

#[derive(Debug, Serialize)]
struct JsonSchema<'a> {
    name: &'a str,
    schema: &'a Value,
    strict: bool,
}

impl<'a> RequestBody<'a> {
    /// Returns the body that asks `model` for `request`, or what is wrong with the request.
    pub(super) fn new(
        model: &'a str,
        request: &'a ChatRequest,
        adaptation: &Adaptation,
        llama_server: LlamaServerFields,
    ) -> Result<Self, &'static str> {
        match request.messages.last().map(|message| message.role) {
            None => return Err("it has no messages"),
            // llama-server would continue that message instead of answering it.
            Some(Role::Assistant) => return Err("its last message is the assistant's own"),
            Some(Role::System | Role::User) => {}
        }
        let sampling = &request.sampling;
        let sent = |parameter| !adaptation.omit.contains(&parameter);
        let is_max_tokens = sent(Parameter::MaxTokens);
        Ok(Self {
            model,
            messages: if adaptation.fold_system {
                folded(&request.messages)
            } else {
                Cow::Borrowed(&request.messages)
            },
            temperature: sent(Parameter::Temperature).then_some(sampling.temperature),
            top_p: sent(Parameter::TopP).then_some(sampling.top_p),
            top_k: sent(Parameter::TopK).then_some(sampling.top_k),
            min_p: sent(Parameter::MinP).then_some(sampling.min_p),
            max_tokens: is_max_tokens.then_some(sampling.max_tokens),
            max_completion_tokens: (!is_max_tokens).then_some(sampling.max_tokens),
            seed: sent(Parameter::Seed).then(|| fold_seed(sampling.seed)),
            stream: false,
            response_format: request
                .response_schema
                .as_ref()
                .filter(|_| !adaptation.omit_schema)
                .map(|wanted| ResponseFormat {
                    r#type: "json_schema",
                    json_schema: JsonSchema {
                        name: &wanted.name,
                        schema: &wanted.schema,
                        strict: true,
                    },
                }),
            logprobs: None,
            top_logprobs: None,
            llama_server,
        })
    }

    /// Asks for the log probability of each token too.
    pub(super) fn with_log_probs(mut self) -> Self {
        (self.logprobs, self.top_logprobs) = (Some(true), Some(1));
        self
    }
}

/// Returns the messages with the leading system messages at the head of the person's first one.
fn folded(messages: &[Message]) -> Cow<'_, [Message]> {
    let leading = messages.iter().take_while(|m| m.role == Role::System);
    let (system, rest) = messages.split_at(leading.count());
    match rest.split_first() {
        Some((first, others)) if !system.is_empty() && first.role == Role::User => {
            let said = system.iter().chain([first]).map(|m| m.content.as_str());
            let said = said.collect::<Vec<_>>().join("\n\n");
            let first = Message::new(Role::User, said);
            Cow::Owned([&[first], others].concat())
        }
        _ => Cow::Borrowed(messages),
    }
}

/// Folds a seed into 31 bits, leaving those that fit as they are.
///
/// llama-server keeps 32 bits and reads 0xffffffff as "draw one"; vLLM refuses more than 63.
fn fold_seed(seed: u64) -> u32 {
    const MASK: u64 = 0x7fff_ffff;
    let folded = (seed ^ (seed >> 31) ^ (seed >> 62)) & MASK;
    u32::try_from(folded).expect("31 bits fit into 32")
}

#[cfg(test)]
mod tests {
    use shipworthy_schema::{Message, Role};

    use super::{fold_seed, folded};

    #[test]
    fn a_system_prompt_is_folded_into_the_first_message() {
        let said = |role, text: &str| Message::new(role, text);
        let messages = [
            said(Role::System, "Be kind."),
            said(Role::User, "Hello."),
            said(Role::Assistant, "Hi."),
            said(Role::User, "Bye."),
        ];
        let folded_messages = folded(&messages);
        assert_eq!(
            folded_messages[0],
            said(Role::User, "Be kind.\n\nHello."),
            "nothing is lost"
        );
        assert_eq!(folded_messages[1..], messages[2..]);
        assert_eq!(folded(&messages[1..])[..], messages[1..], "nothing to fold");
        assert_eq!(
            folded(&messages[..1])[..],
            messages[..1],
            "nowhere to fold it to"
        );
    }

    #[test]
    fn seeds_fit_every_server() {
        assert_eq!(fold_seed(0), 0);
        assert_eq!(fold_seed(7), 7);
        assert_eq!(fold_seed(0x7fff_ffff), 0x7fff_ffff);
        // The value llama-server takes for "random" cannot come out, and high bits count.
        assert_ne!(fold_seed(0xffff_ffff), fold_seed(0x7fff_ffff));
        assert_ne!(fold_seed(1 << 63), fold_seed(0));
        assert_ne!(fold_seed(1 << 40), fold_seed(1 << 41));
    }
}
