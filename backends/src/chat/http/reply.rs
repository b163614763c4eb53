use serde_json::Value;
use shipworthy_schema::{ChatReply, FinishReason, Usage};

use super::failure::Failure;
use crate::chat::reasoning;

/// Reads a chat completion.
///
/// The answer is `choices[0].message.content`. Reasoning is what the server set apart
/// (`reasoning`, vLLM; `reasoning_content`, llama-server), else what the think tags of the text
/// tell.
pub(super) fn read(body: &Value) -> Result<ChatReply, Failure> {
    let Some(choice) = body.get("choices").and_then(|choices| choices.get(0)) else {
        return Err(without_choices(body));
    };
    let finish_reason = finish_reason(choice)?;
    let Some(message) = choice.get("message").filter(|message| message.is_object()) else {
        return Err(Failure::NotAReply(
            "field `choices[0].message` is missing".to_owned(),
        ));
    };
    let text = |field: &str| match message.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(other) => Err(Failure::NotAReply(format!(
            "field `choices[0].message.{field}`: expected a string, got `{other}`"
        ))),
    };
    let set_apart = text("reasoning")?
        .or(text("reasoning_content")?)
        .map(str::trim)
        .filter(|reasoning| !reasoning.is_empty());
    // OpenAI puts a refusal in a field of its own; it is what the model answered.
    let content = text("content")?.or(text("refusal")?).unwrap_or_default();
    let (reasoning, content) = if let Some(reasoning) = set_apart {
        (Some(reasoning.to_owned()), content.trim_start().to_owned())
    } else {
        let split = reasoning::split(content, false);
        (split.reasoning, split.content)
    };
    Ok(ChatReply {
        content,
        reasoning,
        finish_reason,
        usage: usage(body),
    })
}

/// Returns the log probability of each token of the reply, as far as the server tells.
pub(super) fn log_probs(body: &Value) -> Vec<f64> {
    let tokens = body.pointer("/choices/0/logprobs/content");
    let tokens = tokens.and_then(Value::as_array).into_iter().flatten();
    tokens
        .filter_map(|token| token.get("logprob")?.as_f64())
        .collect()
}

/// Explains a body without choices: some gateways send an error with a status of success.
fn without_choices(body: &Value) -> Failure {
    match body.get("error").filter(|error| !error.is_null()) {
        Some(error) => Failure::Status {
            status: error
                .get("code")
                .and_then(Value::as_u64)
                .and_then(|code| u16::try_from(code).ok())
                .filter(|code| *code >= 400)
                .unwrap_or(500),
            retry_after: None,
            location: None,
            body: body.to_string(),
        },
        None => Failure::NotAReply(format!("it has no choices: `{body}`")),
    }
}

fn finish_reason(choice: &Value) -> Result<FinishReason, Failure> {
    match choice.get("finish_reason") {
        Some(Value::String(word)) => match word.as_str() {
            "stop" => Ok(FinishReason::Stop),
            "length" => Ok(FinishReason::Length),
            "tool_calls" | "function_call" => Ok(FinishReason::ToolCalls),
            // vLLM: the engine failed or dropped the request, the model said nothing of its own.
            "abort" | "error" => Err(Failure::Lost(format!(
                "the server gave up the reply (finish_reason `{word}`)"
            ))),
            _ => Ok(FinishReason::Other(word.clone())),
        },
        None | Some(Value::Null) => Ok(FinishReason::Other("none".to_owned())),
        Some(other) => Err(Failure::NotAReply(format!(
            "field `choices[0].finish_reason`: expected a string, got `{other}`"
        ))),
    }
}

/// Tokens that a server may say of one call; more is no count.
const MOST_TOKENS: u64 = 1 << 32;

fn usage(body: &Value) -> Usage {
    let count = |path: &[&str]| {
        let found = path.iter().try_fold(body, |value, key| value.get(key));
        found.and_then(Value::as_u64).filter(|n| *n <= MOST_TOKENS)
    };
    Usage {
        prompt_tokens: count(&["usage", "prompt_tokens"]),
        cached_tokens: count(&["usage", "prompt_tokens_details", "cached_tokens"])
            .or_else(|| count(&["timings", "cache_n"])),
        completion_tokens: count(&["usage", "completion_tokens"]),
        reasoning_tokens: count(&["usage", "completion_tokens_details", "reasoning_tokens"]),
    }
}
