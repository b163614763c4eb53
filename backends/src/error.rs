use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// What can be done about a call that gave no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The same call may succeed later.
    Retryable,
    /// The same call never succeeds.
    Permanent,
    /// The conversation does not fit the context, now or ever.
    ContextOverflow,
    /// The server's chat template failed on the conversation.
    Template,
    /// The key is wrong or missing.
    Auth,
    /// Whoever pays for the key has nothing left to spend.
    Unpaid,
    /// Another model answers than the one planned.
    IdentityChanged,
}

/// Says why a chat call gave no reply.
///
/// `model` is the model as the user knows it (URL and id, or file).
#[derive(Debug, Clone, Error, PartialEq)]
pub enum ChatError {
    /// Nobody listens: the connection is refused, or the name is not known.
    #[error("{model} is unreachable: {detail}")]
    Unreachable {
        /// The model.
        model: String,
        /// What was seen.
        detail: String,
    },
    /// The server says that it cannot answer anybody now (502, 503, 504: loading, overloaded, gone).
    #[error("{model} is not ready: {detail}")]
    NotReady {
        /// The model.
        model: String,
        /// What was seen.
        detail: String,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// The server failed on this call: the connection was lost, or a status such as 500 came.
    #[error("{model} is unavailable: {detail}")]
    Unavailable {
        /// The model.
        model: String,
        /// What was seen.
        detail: String,
    },
    /// The server asks to slow down (429).
    #[error("{model} limits the rate of calls: {detail}")]
    RateLimited {
        /// The model.
        model: String,
        /// What was seen.
        detail: String,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// The reply is not what the protocol promises (garbage JSON, no choices).
    #[error("{model} sent a malformed reply: {detail}")]
    Malformed {
        /// The model.
        model: String,
        /// What was seen.
        detail: String,
    },
    /// The conversation no longer fits the model's context.
    #[error("{model}: the conversation does not fit the context: {detail}")]
    ContextOverflow {
        /// The model.
        model: String,
        /// What was seen.
        detail: String,
        /// Whether other conversations may have taken the room, so that it may fit later.
        is_shared: bool,
    },
    /// The server refuses the key, or wants one.
    #[error("{model} refuses the API key: {detail}")]
    Auth {
        /// The model.
        model: String,
        /// What was seen, without the key.
        detail: String,
    },
    /// The server answers nobody with this key until somebody pays (402, or 429 with
    /// `insufficient_quota`).
    #[error("{model} wants to be paid first: {detail}")]
    Unpaid {
        /// The model.
        model: String,
        /// What was seen, without the key.
        detail: String,
    },
    /// The server's chat template failed on the conversation, e.g. because of the roles' order.
    #[error("{model}: the chat template refuses the conversation: {detail}")]
    Template {
        /// The model.
        model: String,
        /// What was seen.
        detail: String,
    },
    /// Another model answers where the planned one did.
    #[error("{model} is not the model that was planned: planned {planned}, now {found}")]
    IdentityChanged {
        /// The model.
        model: String,
        /// What was planned.
        planned: String,
        /// What is there now.
        found: String,
    },
    /// The request cannot be answered however often it is sent (4xx, no scripted reply).
    #[error("{model} refuses the request: {detail}")]
    Refused {
        /// The model.
        model: String,
        /// What was seen.
        detail: String,
    },
}

impl ChatError {
    /// Returns what can be done about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. }
            | Self::NotReady { .. }
            | Self::Unavailable { .. }
            | Self::RateLimited { .. }
            | Self::Malformed { .. }
            | Self::ContextOverflow {
                is_shared: true, ..
            } => ErrorKind::Retryable,
            Self::ContextOverflow { .. } => ErrorKind::ContextOverflow,
            Self::Template { .. } => ErrorKind::Template,
            Self::Auth { .. } => ErrorKind::Auth,
            Self::Unpaid { .. } => ErrorKind::Unpaid,
            Self::IdentityChanged { .. } => ErrorKind::IdentityChanged,
            Self::Refused { .. } => ErrorKind::Permanent,
        }
    }

    /// Tells whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.kind() == ErrorKind::Retryable
    }

    /// Returns how long the server asks to wait before the next call.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotReady { retry_after, .. } | Self::RateLimited { retry_after, .. } => {
                *retry_after
            }
            _ => None,
        }
    }
}

/// Says why a model could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file is not there or cannot be read.
    #[error("failed to read model file `{path}`: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is there but is not a model this program can run.
    #[error("failed to load model file `{path}`: {detail}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The server serves another model than the one asked for.
    #[error("{url} does not serve `{wanted}`; it serves {}", listed(.served))]
    OtherModel {
        /// The server.
        url: String,
        /// The model asked for.
        wanted: String,
        /// The models it lists.
        served: Vec<String>,
    },
    /// The configuration names no model and the server does not list one only.
    #[error("{url} serves {}; say which is meant (`model`)", listed(.served))]
    WhichModel {
        /// The server.
        url: String,
        /// The models it lists.
        served: Vec<String>,
    },
    /// The server has not loaded the adapter that the configuration names.
    #[error("{url} has no adapter `{wanted}`; it has {}", listed_adapters(.loaded))]
    NoAdapter {
        /// The server.
        url: String,
        /// The adapter asked for.
        wanted: String,
        /// The adapters it lists.
        loaded: Vec<String>,
    },
    /// The URL is not one.
    #[error("`{url}` is not a base URL: {detail}")]
    Url {
        /// The text as given.
        url: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The server could not be asked.
    #[error(transparent)]
    Server(#[from] ChatError),
    /// This build cannot open such a model.
    #[error("this build of shipworthy cannot run {what}; build it with `--features {feature}`")]
    NotBuilt {
        /// What was asked for.
        what: &'static str,
        /// The cargo feature that brings it.
        feature: &'static str,
    },
}

/// Most models that an error lists; some servers offer hundreds.
const MAX_LISTED: usize = 10;

fn listed_adapters(adapters: &[String]) -> String {
    match adapters {
        [] => "none (llama-server loads them with `--lora FILE`)".to_owned(),
        adapters => listed(adapters),
    }
}

fn listed(models: &[String]) -> String {
    match models {
        [] => "no model that it lists".to_owned(),
        _ if models.len() <= MAX_LISTED => models.join(", "),
        _ => format!(
            "{} and {} more",
            models[..MAX_LISTED].join(", "),
            models.len() - MAX_LISTED
        ),
    }
}
