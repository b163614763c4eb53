use serde_json::{Map, Value};

use super::messages::{role, said};
use super::{Message, Unexpressed};
use crate::json_value::json_value;

/// Reads calls from the text of a `function_call`: one object, or a list of them.
pub(super) fn calls(value: &Value) -> Option<Value> {
    let list = match json_value(value.as_str()?).ok()? {
        Value::Array(calls) if !calls.is_empty() => calls,
        Value::Object(call) => vec![Value::Object(call)],
        _ => return None,
    };
    let is_call = |call: &Value| call.get("name").is_some_and(Value::is_string);
    list.iter().all(is_call).then_some(Value::Array(list))
}

/// Writes messages as `conversations`.
pub(super) fn written(messages: &[Message], lost: &mut Vec<Unexpressed>) -> Value {
    messages.iter().map(|message| one(message, lost)).collect()
}

fn one(message: &Message, lost: &mut Vec<Unexpressed>) -> Value {
    let mut written = Map::new();
    let calls = message.get("tool_calls").and_then(Value::as_array);
    if let Some(calls) = calls {
        if !said(message).is_empty() {
            lost.push(Unexpressed::TextBesideCall);
        }
        let mut flat: Vec<Value> = calls.iter().map(|call| flattened(call, lost)).collect();
        let text = match &flat[..] {
            [_] => flat.remove(0).to_string(),
            _ => Value::Array(flat).to_string(),
        };
        written.insert("from".to_owned(), "function_call".into());
        written.insert("value".to_owned(), text.into());
    } else {
        let name = role(message).map_or("human", crate::role::Role::sharegpt_name);
        written.insert("from".to_owned(), name.into());
        written.insert("value".to_owned(), said(message).into());
    }
    for (name, value) in message {
        match name.as_str() {
            "role" | "content" | "tool_calls" => {}
            "from" | "value" => lost.push(Unexpressed::MessageField(name.clone())),
            _ => {
                written.insert(name.clone(), value.clone());
            }
        }
    }
    Value::Object(written)
}

/// Puts a call's name and arguments beside its id.
fn flattened(call: &Value, lost: &mut Vec<Unexpressed>) -> Value {
    let mut flat = Map::new();
    let fields = call.as_object();
    let function = fields.and_then(|fields| fields.get("function")?.as_object());
    for (name, value) in function.into_iter().flatten() {
        match name.as_str() {
            "name" | "arguments" => {
                flat.insert(name.clone(), value.clone());
            }
            _ => lost.push(Unexpressed::MessageField(format!(
                "tool_calls.function.{name}"
            ))),
        }
    }
    for (name, value) in fields.into_iter().flatten() {
        match name.as_str() {
            "function" => {}
            "type" if value == "function" => {}
            "name" | "arguments" => {
                lost.push(Unexpressed::MessageField(format!("tool_calls.{name}")));
            }
            _ => {
                flat.insert(name.clone(), value.clone());
            }
        }
    }
    Value::Object(flat)
}
