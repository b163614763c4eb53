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
    /// Of what user and assistant say, for near duplicates; pairs of replies are alike only where the second
    /// one is the same.
    pub(crate) bands: Bands,
}

impl Fingerprint {
    pub(crate) fn of(row: &Row) -> Self {
        Self::of_conversations(&row.conversations(), row.tools())
    }

    /// Returns the fingerprint of a row with these conversations and tools.
    pub(crate) fn of_conversations(
        conversations: &[Vec<Message>],
        tools: Option<&[Value]>,
    ) -> Self {
        let messages = conversations.first().map_or(&[][..], Vec::as_slice);
        let (reply, prompt) = match messages.split_last() {
            Some((reply, prompt)) => (std::slice::from_ref(reply), prompt),
            None => (&[][..], &[][..]),
        };
        // The prompt is the beginning of all that is said.
        let mut hasher = Speech::default();
        hasher.add_messages(prompt);
        let prompt = hasher.clone().finish(tools);
        hasher.add_messages(reply);
        for others in conversations.iter().skip(1) {
            hasher.add_messages(others);
        }
        let exact = hasher.finish(tools);
        let mut hasher = Speech::default();
        hasher.add_messages(reply);
        let reply = hasher.finish(None);
        // A system message is often the same in every row.
        let said = messages
            .iter()
            .filter(|message| message.get("role").is_some_and(|role| role != "system"))
            .filter_map(|message| message.get("content")?.as_str());
        let mut bands = bands(said).unwrap_or([exact; crate::min_hash::BANDS]);
        if conversations.len() > 1 {
            let mut hasher = Speech::default();
            for others in conversations.iter().skip(1) {
                hasher.add_messages(others);
            }
            let others = hasher.finish(None);
            bands = bands.map(|band| band ^ others);
        }
        Self {
            exact,
            prompt: (conversations.len() == 1).then_some(prompt),
            reply,
            bands,
        }
    }
}

/// Digests who says what, spaces aside.
#[derive(Clone, Default)]
struct Speech {
    hasher: Sha256,
    /// A text as it is digested.
    text: String,
}

impl Speech {
    fn add(&mut self, text: &str) {
        self.text.clear();
        for word in text.split_whitespace() {
            self.text.push_str(word);
            self.text.push(' ');
        }
        self.text.push('\0');
        self.hasher.update(self.text.as_bytes());
    }

    fn add_messages(&mut self, messages: &[Message]) {
        for message in messages {
            for name in ["role", "content"] {
                let text = message.get(name).and_then(Value::as_str);
                self.add(text.unwrap_or_default());
            }
            if let Some(calls) = message.get("tool_calls") {
                self.add(&calls.to_string());
            }
        }
    }

    fn finish(mut self, tools: Option<&[Value]>) -> u64 {
        for tool in tools.into_iter().flatten() {
            self.add(&tool.to_string());
        }
        let digest = self.hasher.finalize();
        let first: [u8; 8] = digest[..8].try_into().expect("a digest has 32 bytes");
        u64::from_be_bytes(first)
    }
}
