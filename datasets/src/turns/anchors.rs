use serde_json::Value;

use crate::conversation::Conversation;
use crate::render_error::RenderError;

/// Texts of one conversation that can be told apart.
const LIMIT: usize = 1_000_000;
/// Tags in what is said that templates look for, so they stay where they are.
const TAGS: [&str; 4] = ["<think>", "</think>", "<tool_response>", "</tool_response>"];
const REASONING_FIELDS: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// A piece of what a message says, without the space around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    /// Whose it is, from 0.
    pub(super) message: usize,
    /// What it says.
    pub(super) text: String,
    pub(super) is_reasoning: bool,
    /// Whether it is the name of a function that is called.
    pub(super) is_call: bool,
}

/// A conversation in which every piece of what is said is replaced by a word of its own, so that it
/// is found in what a template writes. Space around pieces stays, as templates trim.
pub(super) struct Anchored {
    pub(super) messages: Vec<Value>,
    pub(super) anchors: Vec<Anchor>,
}

/// The words that replace pieces: `ANCHOR0x000012z`.
pub(super) struct Words {
    stem: String,
}

impl Words {
    /// Makes words that are not in a conversation, nor in what is written of it.
    pub(super) fn absent_from(conversation: &Conversation, written: &str) -> Self {
        let json = Value::from(conversation.messages()).to_string();
        let tools = conversation
            .tools()
            .map(|tools| Value::from(tools).to_string());
        let is_free = |stem: &String| {
            !json.contains(stem)
                && !written.contains(stem)
                && !tools.iter().any(|tools| tools.contains(stem))
        };
        let mut stems = (0_u64..).map(|n| format!("ANCHOR{n}x"));
        let stem = stems
            .find(is_free)
            .expect("a finite text does not have them all");
        Self { stem }
    }

    fn word(&self, idx: usize) -> String {
        format!("{}{idx:06}z", self.stem)
    }

    /// Finds words in a text: where each begins and ends, and which it is.
    pub(super) fn find(&self, text: &str, count: usize) -> Vec<(usize, usize, usize)> {
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(at) = text[from..].find(&self.stem) {
            let start = from + at;
            let digits = start + self.stem.len();
            let idx = text
                .get(digits..digits + 6)
                .and_then(|digits| digits.parse::<usize>().ok())
                .filter(|&idx| idx < count && text[digits + 6..].starts_with('z'));
            from = digits;
            if let Some(idx) = idx {
                from = digits + 7;
                found.push((start, from, idx));
            }
        }
        found
    }
}

/// Replaces what is said: by all, or by the assistant only. Pieces are numbered alike in both.
pub(super) fn anchored(
    conversation: &Conversation,
    words: &Words,
    only_assistant: bool,
) -> Result<Anchored, RenderError> {
    let mut messages = conversation.messages().to_vec();
    let mut pieces = Pieces {
        words,
        anchors: Vec::new(),
        message: 0,
    };
    for (message, fields) in messages.iter_mut().enumerate() {
        pieces.message = message;
        let is_assistant = fields["role"] == "assistant";
        if is_assistant {
            let mut first: Option<(String, String)> = None;
            for field in REASONING_FIELDS {
                let Some(Value::String(text)) = fields.get(field) else {
                    continue;
                };
                // Templates read one of the names, and are given the first under all of them.
                let replaced = match &first {
                    Some((same, replaced)) if same == text => replaced.clone(),
                    _ => pieces.replace(text, true),
                };
                first.get_or_insert((text.clone(), replaced.clone()));
                fields[field] = Value::from(replaced);
            }
        }
        if let Some(Value::String(text)) = fields.get("content") {
            let replaced = pieces.replace(text, false);
            if is_assistant || !only_assistant {
                fields["content"] = Value::from(replaced);
            }
        }
        let calls = fields.get_mut("tool_calls").and_then(Value::as_array_mut);
        for call in calls.into_iter().flatten().filter(|_| is_assistant) {
            let is_nested = call.get("function").is_some();
            let function = if is_nested {
                &mut call["function"]
            } else {
                call
            };
            if let Some(Value::String(name)) = function.get("name") {
                let before = pieces.anchors.len();
                let replaced = pieces.replace(name, false);
                for piece in &mut pieces.anchors[before..] {
                    piece.is_call = true;
                }
                function["name"] = Value::from(replaced);
            }
        }
    }
    if pieces.anchors.len() > LIMIT {
        return Err(RenderError::TooMany { limit: LIMIT });
    }
    Ok(Anchored {
        messages,
        anchors: pieces.anchors,
    })
}

/// The pieces replaced so far.
struct Pieces<'a> {
    words: &'a Words,
    anchors: Vec<Anchor>,
    /// Whose text comes next.
    message: usize,
}

impl Pieces<'_> {
    fn replace(&mut self, text: &str, is_reasoning: bool) -> String {
        let before = self.anchors.len();
        let replaced = self.replace_between(text, &TAGS, is_reasoning);
        if self.anchors.len() > before {
            return replaced;
        }
        // Nothing is said but tags: then they are what is said.
        self.replace_between(text, &[], is_reasoning)
    }

    /// Replaces the pieces between tags.
    fn replace_between(&mut self, text: &str, tags: &[&'static str], is_reasoning: bool) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        loop {
            let found = tags.iter().filter_map(|tag| Some((rest.find(tag)?, *tag)));
            let next = found.min_by_key(|(at, _)| *at);
            let piece = next.map_or(rest, |(at, _)| &rest[..at]);
            let is_thought = next.is_some_and(|(_, tag)| tag == "</think>");
            let core = piece.trim_matches(is_space);
            if core.is_empty() {
                out.push_str(piece);
            } else {
                let before = piece.len() - piece.trim_start_matches(is_space).len();
                out.push_str(&piece[..before]);
                out.push_str(&self.words.word(self.anchors.len()));
                out.push_str(&piece[before + core.len()..]);
                self.anchors.push(Anchor {
                    message: self.message,
                    text: core.to_owned(),
                    is_reasoning: is_reasoning || is_thought,
                    is_call: false,
                });
            }
            let Some((at, tag)) = next else {
                return out;
            };
            out.push_str(tag);
            rest = &rest[at + tag.len()..];
        }
    }
}

/// Tells whether Rust or Python takes `c` for space.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_replaced_and_found_again() {
        let line = r#"{"messages":[{"role":"user","content":" ANCHOR0x000000z hi\n"},
            {"role":"assistant","content":"<think>\nwhy\n</think>\n\nyes ","tool_calls":[{"name":"f"}]}]}"#
            .replace("\n            ", "");
        let conversation = Conversation::parse("x:1", &line).unwrap();
        let words = Words::absent_from(&conversation, "");
        let all = anchored(&conversation, &words, false).unwrap();
        assert_eq!(all.messages[0]["content"], " ANCHOR1x000000z\n");
        assert_eq!(
            all.messages[1]["content"],
            "<think>\nANCHOR1x000001z\n</think>\n\nANCHOR1x000002z "
        );
        assert_eq!(all.messages[1]["tool_calls"][0]["name"], "ANCHOR1x000003z");
        let texts: Vec<_> = all.anchors.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(texts, ["ANCHOR0x000000z hi", "why", "yes", "f"]);
        assert!(all.anchors[1].is_reasoning && !all.anchors[2].is_reasoning);
        let own = anchored(&conversation, &words, true).unwrap();
        assert_eq!(own.messages[0], conversation.messages()[0]);
        assert_eq!(own.messages[1], all.messages[1]);
        let text = "é ANCHOR1x000002z ANCHOR1x000009z ANCHOR1xé ANCHOR1xANCHOR1x000000z";
        assert_eq!(words.find(text, 4), [(3, 18, 2), (54, 69, 0)]);
    }
}
