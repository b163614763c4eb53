use serde_json::{Map, Value};

use super::Message;
use crate::fault::Problem;
use crate::json_value::{json_value, kind};
use crate::message_check::{Found, MESSAGES, content};
use crate::role::Role;

/// Reads a list of messages, with `role` and `content` or with `from` and `value`, as chat templates
/// take them. `field` is the one it stands in; a text of JSON is read as the list.
pub(super) fn read(value: Value, field: &str, found: &mut Found) -> Vec<Message> {
    let value = match value {
        Value::String(text) if text.trim_start().starts_with('[') => {
            json_value(&text).unwrap_or(Value::String(text))
        }
        value => value,
    };
    let problem = match value {
        Value::Array(messages) if messages.is_empty() => Problem::Empty {
            mend: "add messages or remove the line",
        },
        Value::Array(messages) if messages.len() > MESSAGES => Problem::TooMany {
            count: messages.len(),
            limit: MESSAGES,
        },
        Value::Array(messages) => {
            let messages = messages.into_iter().enumerate();
            return messages
                .filter_map(|(index, message)| one(message, &format!("{field}[{index}]"), found))
                .collect();
        }
        other => Problem::Kind {
            expected: "a list of messages",
            found: kind(&other),
        },
    };
    found.push((field.to_owned(), problem));
    Vec::new()
}

/// Makes a message of a text.
pub(super) fn of_text(role: Role, text: String) -> Message {
    let mut message = Map::new();
    message.insert("role".to_owned(), role.name().into());
    message.insert("content".to_owned(), text.into());
    message
}

/// Reads a text as a message.
pub(super) fn read_text(
    role: Role,
    value: Option<Value>,
    field: &str,
    found: &mut Found,
) -> Vec<Message> {
    let problem = match value {
        Some(Value::String(text)) if text.trim().is_empty() => Problem::Empty {
            mend: "write what is said or remove the line",
        },
        Some(Value::String(text)) => return vec![of_text(role, text)],
        None | Some(Value::Null) => Problem::Missing { expected: "a text" },
        Some(other) => Problem::Kind {
            expected: "a text",
            found: kind(&other),
        },
    };
    found.push((field.to_owned(), problem));
    Vec::new()
}

/// Returns what a message says.
pub(super) fn said(message: &Message) -> &str {
    message
        .get("content")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Returns who speaks.
pub(super) fn role(message: &Message) -> Option<Role> {
    Role::of(message.get("role")?.as_str()?)
}

/// Writes a message; a call without a word has an empty content, on which all templates agree.
pub(super) fn written(message: &Message) -> Value {
    let mut written = message.clone();
    written
        .entry("content")
        .or_insert_with(|| String::new().into());
    Value::Object(written)
}

fn one(message: Value, place: &str, found: &mut Found) -> Option<Message> {
    let Value::Object(mut message) = message else {
        let problem = Problem::Kind {
            expected: "an object with `role` and `content`",
            found: kind(&message),
        };
        found.push((place.to_owned(), problem));
        return None;
    };
    message.retain(|_, value| !value.is_null());
    let is_sharegpt = !message.contains_key("role") && message.contains_key("from");
    let (role_field, content_field) = if is_sharegpt {
        ("from", "value")
    } else {
        ("role", "content")
    };
    let name = message.remove(role_field);
    let (role, is_call) = match &name {
        Some(Value::String(name)) => (
            Role::of_any_format(name),
            is_sharegpt && matches!(name.as_str(), "function_call" | "tool_call"),
        ),
        _ => (None, false),
    };
    let Some(role) = role else {
        let problem = match name {
            Some(Value::String(role)) => Problem::UnknownRole { role },
            Some(other) => Problem::Kind {
                expected: "`system`, `user`, `assistant` or `tool`",
                found: kind(&other),
            },
            None => Problem::Missing {
                expected: "`system`, `user`, `assistant` or `tool`",
            },
        };
        found.push((format!("{place}.{role_field}"), problem));
        return None;
    };
    if is_sharegpt && let Some(value) = message.remove("value") {
        if is_call {
            let Some(calls) = super::sharegpt::calls(&value) else {
                let problem = Problem::Kind {
                    expected: "a call as JSON, with `name` and `arguments`, or a list of them",
                    found: kind(&value),
                };
                found.push((format!("{place}.value"), problem));
                return None;
            };
            message.insert("tool_calls".to_owned(), calls);
        } else {
            message.insert("content".to_owned(), value);
        }
    }
    let before = found.len();
    content(&mut message, Some(role), place, found);
    for (field, _) in &mut found[before..] {
        if let Some(start) = field.strip_suffix(".content") {
            *field = format!("{start}.{content_field}");
        }
    }
    nest_calls(&mut message);
    let mut whole = Map::new();
    whole.insert("role".to_owned(), role.name().into());
    if let Some(said) = message.shift_remove("content") {
        whole.insert("content".to_owned(), said);
    }
    whole.extend(message);
    Some(whole)
}

/// Gives calls the form that `OpenAI` has: `id`, `type`, `function` with `name` and `arguments`.
fn nest_calls(message: &mut Message) {
    let Some(Value::Array(calls)) = message.get_mut("tool_calls") else {
        return;
    };
    for call in calls {
        let Value::Object(fields) = call else {
            continue;
        };
        if !fields.contains_key("function") {
            let mut function = Map::new();
            for name in ["name", "arguments"] {
                if let Some(value) = fields.shift_remove(name) {
                    function.insert(name.to_owned(), value);
                }
            }
            fields.insert("function".to_owned(), Value::Object(function));
        }
        fields
            .entry("type")
            .or_insert_with(|| "function".to_owned().into());
    }
}
