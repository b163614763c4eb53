use serde_json::{Map, Value};

use super::messages::{read_text, role};
use super::prompt_completion::plain;
use super::{Message, Note, Unexpressed};
use crate::fault::Problem;
use crate::json_value::kind;
use crate::message_check::Found;
use crate::role::Role;

/// Reads `system`, `history`, `instruction` with `input` below it, and `output`.
pub(super) fn read(
    fields: &mut Map<String, Value>,
    found: &mut Found,
) -> (Vec<Message>, Option<Note>) {
    let mut messages = Vec::new();
    let mut note = None;
    match fields.shift_remove("system") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) if text.is_empty() => {}
        system => messages.extend(read_text(Role::System, system, "system", found)),
    }
    history(fields.shift_remove("history"), &mut messages, found);
    let instruction = fields.shift_remove("instruction");
    let mut user = read_text(Role::User, instruction, "instruction", found);
    match fields.shift_remove("input") {
        None | Some(Value::Null) => {}
        Some(Value::String(input)) => {
            if let (false, Some(Value::String(text))) = (
                input.is_empty(),
                user.first_mut().and_then(|one| one.get_mut("content")),
            ) {
                text.push('\n');
                text.push_str(&input);
                note = Some(Note::InputJoined);
            }
        }
        Some(other) => wrong("input", &other, "a text", found),
    }
    messages.append(&mut user);
    let output = fields.shift_remove("output");
    messages.extend(read_text(Role::Assistant, output, "output", found));
    (messages, note)
}

/// Reads earlier turns: pairs of what the user says and the assistant answers.
fn history(history: Option<Value>, messages: &mut Vec<Message>, found: &mut Found) {
    let turns = match history {
        None | Some(Value::Null) => return,
        Some(Value::Array(turns)) => turns,
        Some(other) => {
            return wrong(
                "history",
                &other,
                "a list of pairs, what the user says and the reply",
                found,
            );
        }
    };
    for (index, turn) in turns.into_iter().enumerate() {
        let field = format!("history[{index}]");
        match turn {
            Value::Array(pair) if pair.len() == 2 => {
                for (speaker, text) in [Role::User, Role::Assistant].into_iter().zip(pair) {
                    messages.extend(read_text(speaker, Some(text), &field, found));
                }
            }
            other => wrong(&field, &other, "two texts", found),
        }
    }
}

fn wrong(field: &str, value: &Value, expected: &'static str, found: &mut Found) {
    let problem = Problem::Kind {
        expected,
        found: kind(value),
    };
    found.push((field.to_owned(), problem));
}

/// Writes a conversation in which user and assistant take turns.
pub(super) fn write(
    messages: &[Message],
    fields: &mut Map<String, Value>,
    lost: &mut Vec<Unexpressed>,
) {
    let mut turns = messages;
    let mut system = None;
    if let [first, rest @ ..] = messages
        && role(first) == Some(Role::System)
    {
        turns = rest;
        let text = plain(first, Role::System, lost);
        // An empty text means that there is none.
        if text == "" {
            lost.push(Unexpressed::System);
        } else {
            system = Some(text);
        }
    }
    let pairs = turns.chunks(2).map(|pair| {
        let speakers = [Role::User, Role::Assistant].into_iter();
        let texts = pair.iter().zip(speakers);
        let texts: Vec<Value> = texts
            .map(|(message, speaker)| plain(message, speaker, lost))
            .collect();
        texts
    });
    let mut pairs: Vec<Vec<Value>> = pairs.collect();
    let last = pairs.pop().unwrap_or_default();
    let [instruction, output] = &last[..] else {
        lost.push(Unexpressed::NoReply);
        return;
    };
    fields.insert("instruction".to_owned(), instruction.clone());
    fields.insert("input".to_owned(), String::new().into());
    fields.insert("output".to_owned(), output.clone());
    if let Some(system) = system {
        fields.insert("system".to_owned(), system);
    }
    if !pairs.is_empty() {
        let pairs = pairs.into_iter().map(Value::Array);
        fields.insert("history".to_owned(), pairs.collect());
    }
}
