//! What a chat model is asked before anybody relies on it.

use shipworthy_backends::{ChatError, ChatModel};
use shipworthy_schema::{
    ChatReply, ChatRequest, FinishReason, Message, ResponseSchema, Role, Sampling,
};

/// What one probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it stands.
    pub status: Status,
    /// What was seen.
    pub detail: String,
}

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// As it should be.
    Good,
    /// An evaluation can go on; the detail says what it will lack.
    Doubtful,
    /// No evaluation can use this.
    Bad,
}

/// Asks `model` for a reply, for one cut off at one token, for the same reply twice, and for JSON
/// by schema. Stops where the model does not answer at all.
pub async fn probe(model: &dyn ChatModel, system_prompt: Option<&str>) -> Vec<Finding> {
    let asked = Asked {
        model,
        system_prompt,
    };
    let mut findings = Vec::new();
    let reply = asked.reply(24, None).await;
    let answers = reply.is_ok();
    findings.push(answer(reply));
    if answers {
        findings.push(limit(asked.reply(1, None).await));
        findings.push(repeat(&asked).await);
        findings.push(schema(&asked).await);
    }
    model.end_thread("probe");
    findings
}

/// Whom to ask, and as what.
struct Asked<'a> {
    model: &'a dyn ChatModel,
    system_prompt: Option<&'a str>,
}

impl Asked<'_> {
    async fn reply(
        &self,
        max_tokens: u32,
        response_schema: Option<ResponseSchema>,
    ) -> Result<ChatReply, ChatError> {
        let question = match &response_schema {
            None => "Hello! How are you today?",
            Some(_) => {
                "Is the sky blue? Answer as JSON: {\"answer\": \"yes\"} or {\"answer\": \"no\"}."
            }
        };
        let system = self
            .system_prompt
            .map(|text| Message::new(Role::System, text));
        let user = Message::new(Role::User, question);
        let request = ChatRequest {
            thread: "probe".to_owned(),
            messages: system.into_iter().chain([user]).collect(),
            sampling: Sampling {
                temperature: 0.8,
                max_tokens,
                seed: 7,
                ..Sampling::default()
            },
            response_schema,
        };
        self.model.chat(&request).await
    }
}

fn answer(reply: Result<ChatReply, ChatError>) -> Finding {
    let check = "reply";
    match reply {
        Err(error) => Finding {
            check,
            status: Status::Bad,
            detail: error.to_string(),
        },
        Ok(reply) if reply.content.trim().is_empty() => {
            let why = match reply.reasoning {
                Some(_) => "it spent all 24 tokens on reasoning: raise `max_tokens`",
                None => "check the chat template and the end-of-turn token",
            };
            let detail = format!("the reply is empty; {why}");
            Finding {
                check,
                status: Status::Doubtful,
                detail,
            }
        }
        Ok(reply) => {
            let start: String = reply.content.chars().take(60).collect();
            Finding {
                check,
                status: Status::Good,
                detail: format!("says “{}”", start.trim()),
            }
        }
    }
}

fn limit(reply: Result<ChatReply, ChatError>) -> Finding {
    let check = "max_tokens";
    let (status, detail) = match reply {
        Err(error) => (Status::Bad, error.to_string()),
        Ok(reply) => match (reply.finish_reason, reply.usage.completion_tokens) {
            (FinishReason::Length, Some(1) | None) => (
                Status::Good,
                "one token asked for, cut off as it should be".to_owned(),
            ),
            (reason, tokens) => {
                let tokens = tokens.map_or("an unknown number of".to_owned(), |n| n.to_string());
                let detail = format!(
                    "one token asked for; it gave {tokens} tokens and says `finish_reason` \
                     {reason:?}, so cut-off replies may not show"
                );
                (Status::Doubtful, detail)
            }
        },
    };
    Finding {
        check,
        status,
        detail,
    }
}

async fn repeat(asked: &Asked<'_>) -> Finding {
    let check = "seed";
    let (status, detail) = match (asked.reply(24, None).await, asked.reply(24, None).await) {
        (Ok(a), Ok(b)) if a.content == b.content => (
            Status::Good,
            "the same seed gave the same reply twice".to_owned(),
        ),
        (Ok(_), Ok(_)) => (
            Status::Doubtful,
            "the same seed gave two replies: runs can be resumed and reported again, but not \
             repeated"
                .to_owned(),
        ),
        (Err(error), _) | (_, Err(error)) => (Status::Bad, error.to_string()),
    };
    Finding {
        check,
        status,
        detail,
    }
}

async fn schema(asked: &Asked<'_>) -> Finding {
    let check = "json schema";
    let schema = serde_json::json!({
        "type": "object",
        "properties": { "answer": { "type": "string", "enum": ["yes", "no"] } },
        "required": ["answer"],
        "additionalProperties": false,
    });
    let wanted = ResponseSchema {
        name: "probe".to_owned(),
        schema,
    };
    let (status, detail) = match asked.reply(64, Some(wanted)).await {
        Err(error) => (
            Status::Doubtful,
            format!("refused, so it cannot judge by schema: {error}"),
        ),
        Ok(reply) => {
            let value: Option<serde_json::Value> = serde_json::from_str(reply.content.trim()).ok();
            let answer = value
                .as_ref()
                .and_then(|v| v.get("answer"))
                .and_then(|v| v.as_str());
            match answer {
                Some("yes" | "no") => (Status::Good, "kept".to_owned()),
                _ => (
                    Status::Doubtful,
                    "ignored; as a judge its answers will need repair more often".to_owned(),
                ),
            }
        }
    };
    Finding {
        check,
        status,
        detail,
    }
}
