use std::time::Duration;

use serde_json::json;
use shipworthy_backends::{ChatError, ChatModel};
use shipworthy_schema::{ChatReply, ChatRequest, Message, ResponseSchema, Role, Sampling};

/// How often a question is asked, the first time included, where a failure may pass.
const TRIES: u32 = 6;

/// The wait before the second try; it doubles from try to try.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// Seconds that one question may take.
const PATIENCE_S: u64 = 120;

/// Tokens of a reply that is to be read.
pub(super) const SHORT: u32 = 24;

/// A value that nobody would come up with.
pub(super) const UNLIKELY: &str = "quokka-7741";

const GREETING: &str = "Preflight check: say hello and name three colours.";
const GREETED: &str = "Hello. Red, green and blue.";
const SECOND: &str = "Preflight check: name one more.";
const ANIMAL: &str = "Preflight check: name any animal, as JSON: {\"animal\": \"…\"}.";

/// What two models at one server are told apart by.
pub(super) const OPENINGS: [&str; 2] = [
    "Preflight check: tell me how your week was.",
    "Preflight check: I do not know how to go on with my work. What should I do?",
];

/// Asks one model.
pub(super) struct Questions<'a> {
    pub(super) model: &'a dyn ChatModel,
    pub(super) system_prompt: Option<&'a str>,
}

/// What of a question is left out or added.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) max_tokens: u32,
    pub(super) with_system: bool,
    pub(super) second_turn: bool,
    pub(super) with_schema: bool,
}

impl Asked {
    /// Asks for a greeting of so many tokens.
    pub(super) fn greeting(max_tokens: u32) -> Self {
        Self {
            max_tokens,
            with_system: true,
            second_turn: false,
            with_schema: false,
        }
    }
}

impl Questions<'_> {
    /// Asks, again where the failure may pass.
    pub(super) async fn ask(&self, asked: Asked) -> Result<ChatReply, ChatError> {
        let request = self.request(asked);
        patiently(|| self.model.chat(&request)).await
    }

    fn request(&self, asked: Asked) -> ChatRequest {
        let mut messages = Vec::new();
        if let Some(text) = self.system_prompt.filter(|_| asked.with_system) {
            messages.push(Message::new(Role::System, text));
        }
        if asked.with_schema {
            messages.push(Message::new(Role::User, ANIMAL));
        } else {
            messages.push(Message::new(Role::User, GREETING));
        }
        if asked.second_turn {
            messages.push(Message::new(Role::Assistant, GREETED));
            messages.push(Message::new(Role::User, SECOND));
        }
        let schema = json!({
            "type": "object",
            "properties": { "animal": { "type": "string", "enum": [UNLIKELY] } },
            "required": ["animal"],
            "additionalProperties": false,
        });
        ChatRequest {
            thread: "preflight".to_owned(),
            messages,
            sampling: Sampling {
                temperature: 0.8,
                max_tokens: asked.max_tokens,
                seed: 7,
                ..Sampling::default()
            },
            response_schema: asked.with_schema.then(|| ResponseSchema {
                name: "animal".to_owned(),
                schema,
            }),
        }
    }
}

/// Makes a call until it succeeds, fails for good or has failed often.
pub(super) async fn patiently<T, F: Future<Output = Result<T, ChatError>>>(
    call: impl Fn() -> F,
) -> Result<T, ChatError> {
    let mut wait = FIRST_WAIT;
    for attempt in 1.. {
        let bound = Duration::from_secs(PATIENCE_S);
        let answer = tokio::time::timeout(bound, call()).await;
        let error = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => ChatError::Unavailable {
                model: "the model".to_owned(),
                detail: format!("no reply within {PATIENCE_S} s"),
            },
        };
        if !error.is_retryable() || attempt == TRIES {
            return Err(error);
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    unreachable!("the last try returns")
}
