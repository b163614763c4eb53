use serde_json::{Value, json};

use super::pick::Pick;

/// What a chat call gets.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A completion with this content.
    Text(String),
    /// A completion with this content that was cut: `finish_reason` is `length`.
    Cut(String),
    /// A completion with this content and `finish_reason`.
    Finished(String, String),
    /// A completion with this `message` object.
    Message(Value),
    /// This body, with status 200.
    Json(Value),
    /// This status, headers and body.
    Status {
        /// The status.
        status: u16,
        /// Headers besides the usual ones.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// Half of a completion, then the connection is closed.
    Disconnect,
    /// The connection is closed without a byte.
    Hangup,
    /// A completion cut in the middle, with status 200 and the length it has.
    Garbage,
    /// A web page, with status 200.
    Html,
    /// No answer at all, for as long as the client waits.
    Stall,
}

impl Answer {
    /// Returns an error as llama-server words it.
    pub(crate) fn error(status: u16, kind: &str, message: &str) -> Self {
        let body = json!({"error": {"code": status, "message": message, "type": kind}});
        Self::Status {
            status,
            headers: Vec::new(),
            body: body.to_string(),
        }
    }

    /// Tells whether this is a reply rather than a failure of the server.
    pub(super) fn is_reply(&self) -> bool {
        match self {
            Self::Text(_) | Self::Cut(_) | Self::Finished(..) | Self::Message(_) => true,
            Self::Json(body) => body.get("choices").is_some(),
            Self::Status { .. }
            | Self::Disconnect
            | Self::Hangup
            | Self::Garbage
            | Self::Html
            | Self::Stall => false,
        }
    }

    /// Returns a 429 that asks to wait.
    pub(crate) fn rate_limited(retry_after: &str) -> Self {
        Self::Status {
            status: 429,
            headers: vec![("Retry-After".to_owned(), retry_after.to_owned())],
            body: json!({"error": {"message": "too many requests"}}).to_string(),
        }
    }
}

/// Failures by chance: each field is the share of calls in [0, 1] that fail in its way.
///
/// What befalls a call depends on its body and on how often that body came before, so it is the
/// same in every run, and a repeated call gets through sooner or later.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Another seed gives other calls the faults.
    pub(crate) seed: u64,
    /// 500.
    pub(crate) server_error: f64,
    /// 429 with `Retry-After: 0.01`.
    pub(crate) rate_limited: f64,
    /// [`Answer::Disconnect`].
    pub(crate) disconnect: f64,
    /// [`Answer::Garbage`].
    pub(crate) garbage: f64,
    /// [`Answer::Html`].
    pub(crate) html: f64,
    /// [`Answer::Hangup`].
    pub(crate) hangup: f64,
    /// [`Answer::Stall`].
    pub(crate) stall: f64,
}

impl Faults {
    /// Returns what befalls the `attempt`-th call with this body, if anything.
    pub(super) fn draw(&self, sha256: &str, attempt: usize) -> Option<Answer> {
        let drawn = Pick::from(&format!("{}/{sha256}/{attempt}", self.seed)).unit();
        let kinds = [
            (
                self.server_error,
                Answer::error(500, "server_error", "a fault by chance"),
            ),
            (self.rate_limited, Answer::rate_limited("0.01")),
            (self.disconnect, Answer::Disconnect),
            (self.garbage, Answer::Garbage),
            (self.html, Answer::Html),
            (self.hangup, Answer::Hangup),
            (self.stall, Answer::Stall),
        ];
        let mut below = 0.0;
        kinds.into_iter().find_map(|(share, answer)| {
            below += share;
            (drawn < below).then_some(answer)
        })
    }
}
