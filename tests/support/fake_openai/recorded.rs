use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

/// One chat request and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    /// When it came, since the server's start.
    pub(crate) received: Duration,
    /// When the last byte of its whole answer went out; `None` while it waits, and for good where
    /// the answer was cut.
    pub(crate) answered: Option<Duration>,
    /// The status it was answered with.
    pub(crate) status: Option<u16>,
    /// Whether the answer was a reply; a status of 200 may also come with garbage.
    pub(crate) is_reply: bool,
    /// SHA-256 of the body, in hexadecimal.
    pub(crate) sha256: String,
    /// The body.
    pub(crate) body: Value,
    /// The `Authorization` header.
    pub(crate) authorization: Option<String>,
}

/// Returns the digests of bodies that came again after a whole reply to them had been sent.
pub(super) fn repeats(requests: &[Recorded]) -> Vec<String> {
    let mut replied = BTreeSet::new();
    let mut repeated = Vec::new();
    for request in requests {
        if replied.contains(&request.sha256) {
            repeated.push(request.sha256.clone());
        }
        if request.is_reply && request.answered.is_some() {
            replied.insert(request.sha256.clone());
        }
    }
    repeated
}
