//! Formats of training data, and what a row says whichever it is written in.

mod alpaca;
mod border;
mod messages;
mod preference;
mod prompt_completion;
mod row;
mod sharegpt;
mod unexpressed;

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

pub use row::Row;
pub use unexpressed::{Note, Unexpressed};

/// A message as chat templates take it: `role`, `content`, `tool_calls` and more.
pub(crate) type Message = Map<String, Value>;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// `messages` with `role` and `content`, as OpenAI and TRL have them.
    Messages,
    /// `conversations` with `from` and `value`.
    ShareGpt,
    /// `instruction`, `input` and `output`; with `system` and `history` as `LLaMA-Factory` has them.
    Alpaca,
    /// `prompt` and `completion`, lists of messages.
    PromptCompletion,
    /// `prompt` and `completion`, plain texts.
    PromptCompletionText,
    /// `prompt`, `chosen` and `rejected`, lists of messages.
    Preference,
    /// `prompt`, `chosen` and `rejected`, plain texts.
    PreferenceText,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Messages,
        Self::ShareGpt,
        Self::Alpaca,
        Self::PromptCompletion,
        Self::PromptCompletionText,
        Self::Preference,
        Self::PreferenceText,
    ];

    /// Returns the name it has on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::ShareGpt => "sharegpt",
            Self::Alpaca => "alpaca",
            Self::PromptCompletion => "prompt-completion",
            Self::PromptCompletionText => "prompt-completion-text",
            Self::Preference => "preference",
            Self::PreferenceText => "preference-text",
        }
    }

    /// Returns the format that a row with these fields is in, if a known one.
    ///
    /// Pairs come before lists of messages, which sets of pairs often have beside them.
    pub fn of(fields: &Map<String, Value>) -> Option<Self> {
        let has = |name| fields.get(name).is_some_and(|value| !value.is_null());
        let is_text = |name| fields.get(name).is_some_and(Value::is_string);
        if has("chosen") && has("rejected") {
            return Some(if is_text("chosen") {
                Self::PreferenceText
            } else {
                Self::Preference
            });
        }
        if has("messages") {
            return Some(Self::Messages);
        }
        if has("conversations") {
            return Some(Self::ShareGpt);
        }
        if has("prompt") && has("completion") {
            return Some(if is_text("prompt") {
                Self::PromptCompletionText
            } else {
                Self::PromptCompletion
            });
        }
        (has("instruction") && has("output")).then_some(Self::Alpaca)
    }

    /// Returns the fields that have a meaning in it.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Messages => &["messages", "tools"],
            Self::ShareGpt => &["conversations", "system", "tools"],
            Self::Alpaca => &[
                "instruction",
                "input",
                "output",
                "system",
                "history",
                "tools",
            ],
            Self::PromptCompletion | Self::PromptCompletionText => {
                &["prompt", "completion", "tools"]
            }
            Self::Preference | Self::PreferenceText => &["prompt", "chosen", "rejected", "tools"],
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
