use std::error::Error;
use std::time::Duration;

use async_openai::error::OpenAIError;
use serde_json::Value;
use thiserror::Error;

use crate::{ChatError, Secret};

/// Most characters of a server's words that an error repeats.
const MAX_DETAIL: usize = 300;

/// Says why an attempt gave no reply, before it is known what that means for the caller.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// Nobody listens.
    #[error("{0}")]
    Unreached(String),
    /// No answer, or not the whole of one.
    #[error("{0}")]
    Lost(String),
    /// The request could not be made.
    #[error("{0}")]
    Unsent(String),
    /// The API key cannot be sent.
    #[error("{0}")]
    Key(&'static str),
    /// An answer with another status than success.
    #[error("HTTP {status}")]
    Status {
        /// The status.
        status: u16,
        /// `Retry-After`, if sent.
        retry_after: Option<Duration>,
        /// Where else it sends the caller, if anywhere.
        location: Option<String>,
        /// What came with it.
        body: String,
    },
    /// Success, but no JSON.
    #[error("{0}")]
    NotJson(String),
    /// JSON, but not a reply.
    #[error("{0}")]
    NotAReply(String),
}

impl Failure {
    pub(super) fn from_reqwest(error: reqwest::Error) -> Self {
        let (is_builder, is_connect) = (error.is_builder(), error.is_connect());
        // The caller names the server; a URL could hold more than is good to show.
        let error = error.without_url();
        let mut words = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let inner_words = inner.to_string();
            if !words.contains(&inner_words) {
                words = format!("{words}: {inner_words}");
            }
            cause = inner.source();
        }
        if is_builder {
            Self::Unsent(words)
        } else if is_connect {
            Self::Unreached(words)
        } else {
            Self::Lost(words)
        }
    }

    pub(super) fn from_openai(error: OpenAIError) -> Self {
        match error {
            OpenAIError::Boxed(boxed) => match boxed.downcast::<Self>() {
                Ok(failure) => *failure,
                Err(other) => Self::Unsent(other.to_string()),
            },
            OpenAIError::Reqwest(error) => Self::from_reqwest(error),
            OpenAIError::JSONDeserialize(error, body) => {
                Self::NotJson(format!("{error} in `{body}`"))
            }
            other => Self::Unsent(other.to_string()),
        }
    }

    /// Tells whether the server may have gone away, so that another one may come back.
    pub(super) fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Lost(_)
                | Self::Status {
                    status: 502..=504,
                    ..
                }
        )
    }

    /// Says what the failure means for whoever called `model`; no word of `key` is left in it.
    pub(super) fn into_chat_error(self, model: &str, key: Option<&Secret>) -> ChatError {
        let model = model.to_owned();
        let shown = |words: &str| shorten(&key.map_or(words.to_owned(), |key| key.redact(words)));
        match self {
            Self::Unreached(words) => ChatError::Unreachable {
                model,
                detail: shown(&words),
            },
            Self::Lost(words) => ChatError::Unavailable {
                model,
                detail: shown(&words),
            },
            Self::Unsent(words) => ChatError::Refused {
                model,
                detail: shown(&words),
            },
            Self::Key(words) => ChatError::Auth {
                model,
                detail: words.to_owned(),
            },
            Self::NotJson(words) | Self::NotAReply(words) => ChatError::Malformed {
                model,
                detail: shown(&words),
            },
            Self::Status {
                status,
                retry_after,
                location,
                body,
            } => {
                let words = match location {
                    // Following it could send the key to whoever is named.
                    Some(to) => format!("it sends to {to}: set `url` to where that leads"),
                    None => words_of(&body),
                };
                let detail = shown(&format!("HTTP {status}: {words}"));
                match Meaning::of(status, &body.to_lowercase()) {
                    Meaning::Unavailable => ChatError::Unavailable { model, detail },
                    Meaning::NotReady => ChatError::NotReady {
                        model,
                        detail,
                        retry_after,
                    },
                    Meaning::Template => ChatError::Template { model, detail },
                    Meaning::RateLimited => ChatError::RateLimited {
                        model,
                        detail,
                        retry_after,
                    },
                    Meaning::ContextOverflow => {
                        let is_shared = status == 500 && body.contains(SHARED_CONTEXT_PHRASE);
                        ChatError::ContextOverflow {
                            model,
                            detail,
                            is_shared,
                        }
                    }
                    Meaning::Auth => ChatError::Auth { model, detail },
                    Meaning::Unpaid => ChatError::Unpaid { model, detail },
                    Meaning::Refused => ChatError::Refused { model, detail },
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Unavailable,
    NotReady,
    Template,
    RateLimited,
    ContextOverflow,
    Auth,
    Unpaid,
    Refused,
}

/// What servers say, in lower case, when prompt and reply do not fit: llama-server's error type
/// and its message when a slot runs full, vLLM's wordings over its versions, OpenAI's code.
const CONTEXT_PHRASES: [&str; 9] = [
    "exceed_context_size",
    "context_length_exceeded",
    "context length",
    "context size",
    "context window",
    "context shift",
    "max_tokens must be at least 1",
    "maximum model length",
    "prompt is too long",
];

/// What llama-server says, with status 500, to every conversation under way when all of them together
/// fill a cache that they share.
const SHARED_CONTEXT_PHRASE: &str = "Context size has been exceeded";

/// What servers say when the chat template itself failed; llama-server sends some as 500, and no
/// repetition mends them.
const TEMPLATE_PHRASES: [&str; 6] = [
    "jinja",
    "chat template",
    "chat_template",
    "templateerror",
    "raise_exception",
    "roles must alternate",
];

impl Meaning {
    /// `body`: what came with the status, in lower case.
    fn of(status: u16, body: &str) -> Self {
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| body.contains(phrase));
        match status {
            401 | 403 => Self::Auth,
            // An empty purse does not fill by waiting, and whatever else is asked is paid for in vain.
            402 => Self::Unpaid,
            429 if says(&["insufficient_quota"]) => Self::Unpaid,
            429 => Self::RateLimited,
            400 | 413 | 422 | 500 if says(&CONTEXT_PHRASES) => Self::ContextOverflow,
            400 | 422 | 500 if says(&TEMPLATE_PHRASES) => Self::Template,
            // Not implemented: a request this server will never answer.
            501 => Self::Refused,
            502..=504 | 529 => Self::NotReady,
            408 | 425 | 500.. => Self::Unavailable,
            _ => Self::Refused,
        }
    }
}

/// Returns the message within a JSON error body, or the body itself.
fn words_of(body: &str) -> String {
    let message = serde_json::from_str::<Value>(body).ok().and_then(|body| {
        let error = body.get("error").unwrap_or(&body);
        let message = [error.get("message"), error.get("detail"), Some(error)]
            .into_iter()
            .flatten()
            .find_map(Value::as_str)?;
        Some(match error.get("type").and_then(Value::as_str) {
            Some(kind) => format!("{message} ({kind})"),
            None => message.to_owned(),
        })
    });
    let words = message.unwrap_or_else(|| body.trim().to_owned());
    if words.is_empty() {
        "no explanation".to_owned()
    } else {
        words
    }
}

/// Puts `words` on one line and cuts them at [`MAX_DETAIL`] characters.
fn shorten(words: &str) -> String {
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_DETAIL) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::{Failure, MAX_DETAIL, Meaning};
    use crate::Secret;

    #[test_case(401, "", Meaning::Auth)]
    #[test_case(403, "", Meaning::Auth)]
    #[test_case(429, "slow down", Meaning::RateLimited)]
    #[test_case(429, r#"{"error":{"code":"insufficient_quota"}}"#, Meaning::Unpaid)]
    #[test_case(402, "Insufficient Balance", Meaning::Unpaid)]
    #[test_case(
        400,
        r#"{"error":{"type":"exceed_context_size_error"}}"#,
        Meaning::ContextOverflow
    )]
    #[test_case(
        400,
        "This model's maximum context length is 256 tokens.",
        Meaning::ContextOverflow
    )]
    #[test_case(
        400,
        "max_tokens must be at least 1, got -186.",
        Meaning::ContextOverflow
    )]
    #[test_case(
        400,
        "The decoder prompt is longer than the maximum model length of 256.",
        Meaning::ContextOverflow
    )]
    #[test_case(500, "context shift is disabled", Meaning::ContextOverflow)]
    #[test_case(400, "unknown argument", Meaning::Refused)]
    #[test_case(404, "the model `x` does not exist", Meaning::Refused)]
    #[test_case(301, "", Meaning::Refused)]
    #[test_case(500, "Jinja Exception: roles", Meaning::Template; "llama-server sends template errors as 500")]
    #[test_case(
        400,
        "Conversation roles must alternate user/assistant",
        Meaning::Template
    )]
    #[test_case(500, "out of memory", Meaning::Unavailable)]
    #[test_case(501, "not supported", Meaning::Refused)]
    #[test_case(503, "Loading model", Meaning::NotReady)]
    #[test_case(502, "", Meaning::NotReady)]
    #[test_case(408, "", Meaning::Unavailable)]
    fn status_and_words_decide(status: u16, body: &str, meaning: Meaning) {
        assert_eq!(Meaning::of(status, &body.to_lowercase()), meaning);
    }

    #[test]
    fn the_key_is_gone_before_the_text_is_cut() {
        // A key across the cut would otherwise leave its first half behind.
        let key = Secret::new("sk-0123456789");
        let body = format!("{}sk-0123456789 and more", "x".repeat(MAX_DETAIL - 15));
        let failure = Failure::Status {
            status: 400,
            retry_after: None,
            location: None,
            body,
        };
        let error = failure.into_chat_error("m", Some(&key));
        let text = format!("{error} {error:?}");
        assert!(!text.contains("sk-"), "{text}");
        assert!(error.to_string().len() < MAX_DETAIL + 50);
    }
}
