use serde_json::{Map, Value};

use crate::fault::Problem;
use crate::json_value::kind;
use crate::role::Role;
use crate::turn_order;

/// Messages a conversation may have; some templates take time with the square of their number.
pub(crate) const MESSAGES: usize = 2_000;

/// Messages and tools as a chat template takes them.
type Checked = (Vec<Value>, Option<Vec<Value>>);
pub(crate) type Found = Vec<(String, Problem)>;

/// Checks a line's fields, nulls left out, and returns what a chat template takes of them.
pub(crate) fn checked(mut fields: Map<String, Value>) -> Result<Checked, Found> {
    let mut found = Vec::new();
    let tools = tools(fields.remove("tools"), &mut found);
    let messages = match fields.remove("messages") {
        Some(Value::Array(messages)) => messages,
        other => {
            let problem = Problem::Kind {
                expected: "a list of messages",
                found: other.map_or("nothing".to_owned(), |value| kind(&value)),
            };
            found.push(("messages".to_owned(), problem));
            return Err(found);
        }
    };
    if messages.is_empty() {
        let mend = "add messages or remove the line";
        found.push(("messages".to_owned(), Problem::Empty { mend }));
        return Err(found);
    }
    if messages.len() > MESSAGES {
        let (count, limit) = (messages.len(), MESSAGES);
        found.push(("messages".to_owned(), Problem::TooMany { count, limit }));
        return Err(found);
    }
    let mut roles = Vec::with_capacity(messages.len());
    let mut whole = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let place = format!("messages[{index}]");
        let Value::Object(mut message) = message else {
            let expected = "an object with `role` and `content`";
            let problem = Problem::Kind {
                expected,
                found: kind(&message),
            };
            found.push((place, problem));
            roles.push(None);
            continue;
        };
        message.retain(|_, value| !value.is_null());
        let role = role(&message, &place, &mut found);
        for field in ["reasoning_content", "thinking", "reasoning"] {
            if let Some(value) = message.get(field).filter(|value| !value.is_string()) {
                let expected = "a text";
                let problem = Problem::Kind {
                    expected,
                    found: kind(value),
                };
                found.push((format!("{place}.{field}"), problem));
            }
        }
        content(&mut message, role, &place, &mut found);
        roles.push(role);
        whole.push(Value::Object(message));
    }
    // Roles are put in order once all are known.
    if let Some(roles) = roles.into_iter().collect::<Option<Vec<Role>>>() {
        turn_order::check(&roles, &whole, &mut found);
    }
    if found.is_empty() {
        Ok((whole, tools))
    } else {
        Err(found)
    }
}

/// Returns the tools; an empty list is none.
pub(crate) fn tools(tools: Option<Value>, found: &mut Found) -> Option<Vec<Value>> {
    let tools = match tools? {
        Value::Array(tools) => tools,
        other => {
            let problem = Problem::Kind {
                expected: "a list of objects, each a JSON schema of a function",
                found: kind(&other),
            };
            found.push(("tools".to_owned(), problem));
            return None;
        }
    };
    for (index, tool) in tools.iter().enumerate() {
        if !tool.is_object() {
            let problem = Problem::Kind {
                expected: "an object, the JSON schema of a function",
                found: kind(tool),
            };
            found.push((format!("tools[{index}]"), problem));
        }
    }
    (!tools.is_empty()).then_some(tools)
}

fn role(message: &Map<String, Value>, place: &str, found: &mut Found) -> Option<Role> {
    let expected = "`system`, `user`, `assistant` or `tool`";
    let problem = match message.get("role") {
        None if message.contains_key("from") && message.contains_key("value") => {
            Problem::OtherFormat("`from` and `value` look like ShareGPT")
        }
        None => Problem::Missing { expected },
        Some(Value::String(name)) => match Role::of(name) {
            Some(role) => return Some(role),
            None => Problem::UnknownRole { role: name.clone() },
        },
        Some(other) => Problem::Kind {
            expected,
            found: kind(other),
        },
    };
    found.push((format!("{place}.role"), problem));
    None
}

/// Checks what is said, and makes a text of a list with one text.
pub(crate) fn content(
    message: &mut Map<String, Value>,
    role: Option<Role>,
    place: &str,
    found: &mut Found,
) {
    let field = format!("{place}.content");
    let calls = calls(message, role, place, found);
    if let Some(Value::Array(parts)) = message.get("content") {
        match one_text(parts) {
            Ok(text) => {
                let text = Value::from(text);
                message.insert("content".to_owned(), text);
            }
            Err(problem) => {
                found.push((field, problem));
                return;
            }
        }
    }
    if message
        .get("weight")
        .is_some_and(|weight| weight.as_f64() != Some(1.0))
    {
        found.push((format!("{place}.weight"), Problem::Weight));
    }
    message.remove("weight");
    match message.get("content") {
        // Only a call may stand for itself; Hugging Face's own data leave the content out then.
        None if calls => {}
        None => {
            let expected = "a text";
            found.push((field, Problem::Missing { expected }));
        }
        Some(Value::String(text)) => {
            let mend = match role {
                Some(Role::Assistant) if !calls => "the model would learn to say nothing",
                Some(Role::User) => "write what the user says or remove the turn",
                _ => return,
            };
            if text.trim().is_empty() {
                found.push((field, Problem::Empty { mend }));
            }
        }
        Some(other) => {
            let expected = "a text";
            let problem = Problem::Kind {
                expected,
                found: kind(other),
            };
            found.push((field, problem));
        }
    }
}

/// Checks calls of functions; tells whether there are any. Arguments written as a text of JSON, as
/// OpenAI has them, become the object itself: most templates would quote the text once more.
fn calls(
    message: &mut Map<String, Value>,
    role: Option<Role>,
    place: &str,
    found: &mut Found,
) -> bool {
    let Some(calls) = message.get_mut("tool_calls") else {
        return false;
    };
    let field = format!("{place}.tool_calls");
    let wrong = |expected, value: &Value| Problem::Kind {
        expected,
        found: kind(value),
    };
    let Value::Array(calls) = calls else {
        let problem = wrong("a list of calls", calls);
        found.push((field, problem));
        return false;
    };
    if calls.is_empty() {
        message.remove("tool_calls");
        return false;
    }
    if role.is_some_and(|role| role != Role::Assistant) {
        let mend = "only the assistant calls functions; remove it";
        found.push((field, Problem::Parts(mend)));
        return true;
    }
    for (index, call) in calls.iter_mut().enumerate() {
        let field = format!("{field}[{index}]");
        let place = if call.get("function").is_some() {
            format!("{field}.function")
        } else {
            field
        };
        let is_nested = call.get("function").is_some();
        let function = if is_nested {
            call.get_mut("function")
        } else {
            Some(&mut *call)
        };
        let Some(Value::Object(function)) = function else {
            let expected = "an object with `name` and `arguments`";
            found.push((place, wrong(expected, call)));
            continue;
        };
        match function.get("name") {
            Some(Value::String(name)) if !name.trim().is_empty() => {}
            other => {
                let problem = wrong("the function's name", other.unwrap_or(&Value::Null));
                found.push((format!("{place}.name"), problem));
            }
        }
        let field = format!("{place}.arguments");
        let expected = "an object, or a text of one";
        match function.get("arguments") {
            None | Some(Value::Object(_)) => {}
            Some(Value::String(text)) => match serde_json::from_str::<Map<String, Value>>(text) {
                Ok(arguments) => {
                    function.insert("arguments".to_owned(), Value::Object(arguments));
                }
                Err(_) => found.push((field, wrong(expected, &Value::from(text.as_str())))),
            },
            Some(other) => found.push((field, wrong(expected, other))),
        }
    }
    true
}

/// Returns the text of a content list that has one.
fn one_text(parts: &[Value]) -> Result<String, Problem> {
    let [part] = parts else {
        return Err(Problem::Parts(
            "a list with several parts, or none, is written by every chat template in its own way; join the texts into one",
        ));
    };
    let is_text = part.get("type").is_none_or(|kind| kind == "text");
    match part.get("text").and_then(Value::as_str) {
        Some(text) if is_text => Ok(text.to_owned()),
        _ => Err(Problem::Parts(
            "a part that is no text cannot be learnt; only conversations in text are read",
        )),
    }
}
