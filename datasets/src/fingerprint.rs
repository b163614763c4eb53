use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::formats::{Message, Row};
use crate::min_hash::{Bands, bands};

/// What rows are compared by.
#[derive(Clone, Debug)]
pub(crate) struct Fingerprint {
    /// Of all that is said, by whom.
    pub(crate) exact: u64,
    /// Of all before the last reply; none for a pair of replies.
    pub(crate) prompt: Option<u64>,
    /// Of the last reply.
    pub(crate) reply: u64,
    /// Of what user and assistant say, for near duplicates.
    pub(crate) bands: Bands,
}

impl Fingerprint {
    pub(crate) fn of(row: &Row) -> Self {
        let conversations = row.conversations();
        let messages = conversations.first().map_or(&[][..], Vec::as_slice);
        let others = conversations.iter().skip(1).flatten();
        let exact = digest(messages.iter().chain(others), row.tools());
        let (reply, prompt) = match messages.split_last() {
            Some((reply, prompt)) => (std::slice::from_ref(reply), prompt),
            None => (&[][..], &[][..]),
        };
        // A system message is often the same in every row.
        let said = messages
            .iter()
            .filter(|message| message.get("role").is_some_and(|role| role != "system"))
            .filter_map(|message| message.get("content")?.as_str());
        Self {
            exact,
            prompt: (conversations.len() == 1).then(|| digest(prompt.iter(), row.tools())),
            reply: digest(reply.iter(), None),
            bands: bands(said).unwrap_or([exact; crate::min_hash::BANDS]),
        }
    }
}

/// Digests who says what, spaces aside.
fn digest<'a>(messages: impl Iterator<Item = &'a Message>, tools: Option<&[Value]>) -> u64 {
    let mut hasher = Sha256::new();
    let mut add = |text: &str| {
        for word in text.split_whitespace() {
            hasher.update(word.as_bytes());
            hasher.update(b" ");
        }
        hasher.update(b"\0");
    };
    for message in messages {
        for name in ["role", "content"] {
            add(message
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default());
        }
        if let Some(calls) = message.get("tool_calls") {
            add(&calls.to_string());
        }
    }
    for tool in tools.into_iter().flatten() {
        add(&tool.to_string());
    }
    let digest = hasher.finalize();
    let first: [u8; 8] = digest[..8].try_into().expect("a digest has 32 bytes");
    u64::from_be_bytes(first)
}
