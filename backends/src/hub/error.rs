use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Says why something at the Hub was not done.
#[derive(Debug, Error)]
pub enum HubError {
    /// The address is not one.
    #[error("`{url}` is not the address of a Hub: {detail}")]
    Endpoint {
        /// The text as given.
        url: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The token cannot be sent.
    #[error("the Hub's token has characters that no HTTP header can carry")]
    Token,
    /// There is no token, and this cannot be done without.
    #[error("failed to {what}: it needs a token of the Hub, and there is none")]
    NoToken {
        /// What was tried.
        what: String,
    },
    /// A repository's name is not one.
    #[error("`{name}` is not the name of a repository, such as `ada/letters`: {detail}")]
    Name {
        /// The text as given.
        name: String,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// Nobody answers, or the answer was lost.
    #[error("failed to {what}: {endpoint} does not answer: {detail}")]
    Unreachable {
        /// What was tried.
        what: String,
        /// The Hub.
        endpoint: String,
        /// What was seen.
        detail: String,
    },
    /// The Hub asks to wait for longer than is waited.
    #[error("failed to {what}: the Hub limits the rate of requests{}", for_time(.wait.as_ref()))]
    RateLimited {
        /// What was tried.
        what: String,
        /// How long it asks to wait.
        wait: Option<Duration>,
    },
    /// The Hub refuses.
    #[error("failed to {what}: the Hub answers {status}: {detail}{}", request_text(.request.as_deref()))]
    Refused {
        /// What was tried.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The Hub's own code for it, e.g. `RepoNotFound`.
        code: Option<String>,
        /// What it says.
        detail: String,
        /// The request's number, for those who run the Hub.
        request: Option<String>,
    },
    /// The answer is not what the protocol promises.
    #[error("failed to {what}: the Hub's answer makes no sense: {detail}")]
    Malformed {
        /// What was tried.
        what: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Somebody else changed the repository meanwhile.
    #[error("failed to {what}: `{repository}` was changed by others meanwhile")]
    Changed {
        /// What was tried.
        what: String,
        /// The repository.
        repository: String,
    },
    /// What came is not what was announced.
    #[error("`{path}` came damaged: its {name} is {found}, and {expected} was announced")]
    Damaged {
        /// The file in its repository.
        path: String,
        /// What was looked at: `size` or the digest's name.
        name: &'static str,
        /// What was announced.
        expected: String,
        /// What came.
        found: String,
    },
    /// A file's path would lead out of the directory it is to lie in.
    #[error(
        "the Hub lists a file `{path}`, which would lie elsewhere than in the directory asked for"
    )]
    Path {
        /// The path.
        path: String,
    },
    /// A file cannot be read or written.
    #[error("failed to {what} `{}`: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl HubError {
    /// Tells whether the repository, file or job is not there, as far as this token may know.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Refused { status: 404, .. } => true,
            // What a token may not see is refused as if it were the token's fault.
            Self::Refused { code, .. } => code.as_deref() == Some("RepoNotFound"),
            _ => false,
        }
    }

    /// Says how to mend it, where that is known.
    pub fn mend(&self) -> Option<&'static str> {
        Some(match self {
            Self::Endpoint { .. } => {
                "`HF_ENDPOINT` is the Hub's address, `https://huggingface.co` if it is not set"
            }
            Self::Token => "look whether `HF_TOKEN` or the token file holds more than the token",
            Self::NoToken { .. } => {
                "set `HF_TOKEN`, or log in with `hf auth login`; tokens are made at https://huggingface.co/settings/tokens"
            }
            Self::Unreachable { .. } => "look at the network, and at `HF_ENDPOINT` if it is set",
            Self::RateLimited { .. } => "wait, then try again; what is done is kept",
            Self::Changed { .. } => "try again",
            Self::Damaged { .. } => "try again: what came was thrown away",
            Self::Refused { status, code, .. } => match (status, code.as_deref()) {
                (_, Some("GatedRepo")) => {
                    "ask for access on the repository's page with the account of the token"
                }
                (404, _) | (_, Some("RepoNotFound")) => {
                    "look at the name; what is private is only found with a token that may see it"
                }
                (401, _) => {
                    "the token is not valid any more: make another one at https://huggingface.co/settings/tokens"
                }
                (402, _) => {
                    "jobs are paid from the account's credits: https://huggingface.co/settings/billing"
                }
                (403, _) => {
                    "give the token the permission at https://huggingface.co/settings/tokens: writing to the \
                     namespace's repositories for uploads, starting and managing jobs for jobs"
                }
                (500.., _) => "the Hub has trouble; try again later",
                _ => return None,
            },
            Self::Name { .. } | Self::Malformed { .. } | Self::Path { .. } | Self::File { .. } => {
                return None;
            }
        })
    }
}

fn for_time(wait: Option<&Duration>) -> String {
    wait.map_or_else(String::new, |wait| {
        format!(", for {} s more", wait.as_secs())
    })
}

fn request_text(request: Option<&str>) -> String {
    request.map_or_else(String::new, |request| format!(" (request {request})"))
}
