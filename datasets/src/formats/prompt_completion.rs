use serde_json::{Map, Value};

use super::Message;
use super::Unexpressed;
use super::messages::{self, role, said};
use crate::message_check::Found;
use crate::role::Role;

/// Reads a prompt, a text or a list of messages.
pub(super) fn read_prompt(fields: &mut Map<String, Value>, found: &mut Found) -> Vec<Message> {
    read_side("prompt", Role::User, fields, found)
}

/// Reads what follows a prompt, a text or a list of messages.
pub(super) fn read_side(
    name: &str,
    speaker: Role,
    fields: &mut Map<String, Value>,
    found: &mut Found,
) -> Vec<Message> {
    match fields.shift_remove(name) {
        Some(Value::Array(list)) => messages::read(Value::Array(list), name, found),
        other => messages::read_text(speaker, other, name, found),
    }
}

/// Writes messages as a list.
pub(super) fn list(side: &[Message]) -> Value {
    side.iter().map(messages::written).collect()
}

/// Writes a prompt as its user's last message alone.
pub(super) fn prompt_text(prompt: &[Message], lost: &mut Vec<Unexpressed>) -> Value {
    let Some((last, earlier)) = prompt.split_last() else {
        return Value::String(String::new());
    };
    for message in earlier {
        lost.push(match role(message) {
            Some(Role::System) => Unexpressed::System,
            _ => Unexpressed::EarlierTurns,
        });
    }
    plain(last, Role::User, lost)
}

/// Writes a reply of one message as its text.
pub(super) fn reply_text(reply: &[Message], lost: &mut Vec<Unexpressed>) -> Value {
    let [message] = reply else {
        let has_calls = reply
            .iter()
            .any(|message| message.contains_key("tool_calls"));
        lost.push(if has_calls {
            Unexpressed::Calls
        } else {
            Unexpressed::Turns
        });
        return Value::String(String::new());
    };
    plain(message, Role::Assistant, lost)
}

/// Returns the text of a message that has nothing else.
pub(super) fn plain(message: &Message, speaker: Role, lost: &mut Vec<Unexpressed>) -> Value {
    match role(message) {
        Some(Role::Tool) => lost.push(Unexpressed::Calls),
        found if found != Some(speaker) => lost.push(Unexpressed::Turns),
        _ => {}
    }
    for name in message.keys() {
        match name.as_str() {
            "role" | "content" => {}
            "tool_calls" => lost.push(Unexpressed::Calls),
            _ => lost.push(Unexpressed::MessageField(name.clone())),
        }
    }
    said(message).into()
}
