use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use shipworthy_backends::{ChatError, ErrorKind};
use shipworthy_schema::{CallRole, ChatReply, ChatRequest, FinishReason, ModelRef, ModelSource};

use super::attributes::{number, status, text, whole};
use super::{Tracer, one};
use crate::asking::AskError;

/// The span of one call, with all of its tries; it begins when this is made.
pub(crate) struct CallSpan<'a> {
    tracer: &'a Tracer,
    start: u64,
}

impl<'a> CallSpan<'a> {
    /// Begins the span of a call.
    pub(crate) fn begin(tracer: &'a Tracer) -> Self {
        let start = tracer.now();
        Self { tracer, start }
    }

    /// Ends and sends it.
    pub(crate) fn end(
        self,
        role: CallRole,
        model: &ModelRef,
        request: &ChatRequest,
        reply: Result<&ChatReply, &AskError>,
    ) {
        let tracer = self.tracer;
        let asked = request_model(&model.source);
        let mut attributes = vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.provider.name", provider(&model.source)),
            text("gen_ai.request.model", asked),
            text("gen_ai.conversation.id", &request.thread),
            text("gen_ai.output.type", output_type(request)),
            text("shipworthy.role", role_name(role)),
            text("shipworthy.model", model.name.as_str()),
        ];
        attributes.extend(address(&model.source));
        let sampling = &request.sampling;
        attributes.push(number("gen_ai.request.temperature", sampling.temperature));
        attributes.push(number("gen_ai.request.top_p", sampling.top_p));
        if sampling.top_k > 0 {
            attributes.push(whole("gen_ai.request.top_k", u64::from(sampling.top_k)));
        }
        attributes.push(whole(
            "gen_ai.request.max_tokens",
            u64::from(sampling.max_tokens),
        ));
        attributes.push(whole("gen_ai.request.seed", sampling.seed));
        if let Ok(reply) = reply {
            attributes.push(one("gen_ai.response.finish_reasons", finish(reply)));
            attributes.extend(usage(reply));
        }
        let error = reply.err().map(error_type);
        attributes.extend(error.map(|error| text("error.type", error)));
        if tracer.content {
            let input = messages(request).to_string();
            attributes.push(text("gen_ai.input.messages", input));
            if let Ok(reply) = reply {
                attributes.push(text("gen_ai.output.messages", output(reply).to_string()));
            }
        }
        tracer.send(Span {
            name: format!("chat {asked}"),
            span_id: tracer.fresh_id(),
            parent_span_id: tracer.parent(role, &request.thread),
            kind: SpanKind::Client.into(),
            status: status(error),
            attributes,
            ..tracer.span(self.start)
        });
    }
}

fn role_name(role: CallRole) -> &'static str {
    match role {
        CallRole::Model => "model",
        CallRole::Simulator => "simulator",
        CallRole::Judge => "judge",
    }
}

fn request_model(source: &ModelSource) -> &str {
    match source {
        ModelSource::Http { model, .. } => model,
        ModelSource::Gguf { path, .. } | ModelSource::Scripted { path, .. } => path,
    }
}

/// Returns whose format of messages it is; which server speaks it is not known for sure.
fn provider(source: &ModelSource) -> &'static str {
    match source {
        ModelSource::Http { .. } => "openai",
        ModelSource::Gguf { .. } => "llama.cpp",
        ModelSource::Scripted { .. } => "scripted",
    }
}

fn output_type(request: &ChatRequest) -> &'static str {
    if request.response_schema.is_some() {
        "json"
    } else {
        "text"
    }
}

/// Returns the server's host and port, and nothing else that its URL may hold.
fn address(source: &ModelSource) -> Vec<KeyValue> {
    let ModelSource::Http { url, .. } = source else {
        return Vec::new();
    };
    let parsed = reqwest::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|url| Some((url.host_str()?, url)));
    match host {
        Some((host, url)) => {
            let port = url.port_or_known_default().map(u64::from);
            let mut address = vec![text("server.address", host)];
            address.extend(port.map(|port| whole("server.port", port)));
            address
        }
        // One of `serve`, by its name.
        None => vec![text("server.address", url.as_str())],
    }
}

fn finish(reply: &ChatReply) -> &str {
    match &reply.finish_reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_call",
        FinishReason::Other(word) => word,
    }
}

fn usage(reply: &ChatReply) -> impl Iterator<Item = KeyValue> {
    let usage = reply.usage;
    let counts = [
        ("gen_ai.usage.input_tokens", usage.prompt_tokens),
        ("gen_ai.usage.cache_read.input_tokens", usage.cached_tokens),
        ("gen_ai.usage.output_tokens", usage.completion_tokens),
        (
            "gen_ai.usage.reasoning.output_tokens",
            usage.reasoning_tokens,
        ),
    ];
    let counted = counts.into_iter();
    counted.filter_map(|(key, count)| Some(whole(key, count?)))
}

/// Returns what kind of error it is, in few words that quote nobody.
fn error_type(error: &AskError) -> &'static str {
    match error {
        AskError::Model(ChatError::Unreachable { .. }) => "unreachable",
        AskError::Model(ChatError::NotReady { .. }) => "not_ready",
        AskError::Model(ChatError::RateLimited { .. }) => "rate_limited",
        AskError::Model(error) => match error.kind() {
            ErrorKind::Retryable => "unavailable",
            ErrorKind::Permanent => "refused",
            ErrorKind::ContextOverflow => "context_overflow",
            ErrorKind::Template => "chat_template",
            ErrorKind::Auth => "unauthorized",
            ErrorKind::Unpaid => "insufficient_quota",
            ErrorKind::IdentityChanged => "model_changed",
        },
        AskError::Timeout { .. } => "timeout",
        AskError::Stop(_) => "run_stopped",
    }
}

fn message(role: &str, parts: &Value) -> Value {
    json!({"role": role, "parts": parts})
}

fn messages(request: &ChatRequest) -> Value {
    let of = |said: &shipworthy_schema::Message| {
        message(
            said.role.name(),
            &json!([{"type": "text", "content": said.content}]),
        )
    };
    request.messages.iter().map(of).collect()
}

fn output(reply: &ChatReply) -> Value {
    let reasoning = reply.reasoning.iter();
    let reasoning = reasoning.map(|text| json!({"type": "reasoning", "content": text}));
    let parts: Value = reasoning
        .chain([json!({"type": "text", "content": reply.content})])
        .collect();
    let mut message = message("assistant", &parts);
    message["finish_reason"] = finish(reply).into();
    json!([message])
}
