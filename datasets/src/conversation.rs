use serde_json::{Map, Value};

use crate::fault::Problem;
use crate::json_value::{json_value, kind, names};
use crate::visible_text::excerpt;
use crate::{message_check, other_format};

/// A conversation to learn from, found to be in order: roles known and in turn, every reply with
/// something in it, the assistant last.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    id: String,
    messages: Vec<Value>,
    tools: Option<Vec<Value>>,
}

impl Conversation {
    /// Reads one line of a file.
    ///
    /// `place` is where it is, `train.jsonl:12`; the line's own `id` is added to it. Errors with
    /// everything that is wrong, each with the field it is in.
    pub fn parse(place: &str, line: &str) -> Result<Self, Vec<(String, Problem)>> {
        let whole = |problem| vec![(String::new(), problem)];
        let value = match json_value(line) {
            Ok(value) => value,
            Err(message) => return Err(whole(Problem::NotJson(message))),
        };
        let Value::Object(mut fields) = value else {
            let expected = "an object with `messages`";
            let found = kind(&value);
            return Err(whole(Problem::Kind { expected, found }));
        };
        fields.retain(|_, value| !value.is_null());
        if !fields.contains_key("messages") {
            return Err(whole(other_format::recognised(&fields).unwrap_or(
                Problem::Kind {
                    expected: "an object with `messages`",
                    found: names(&fields),
                },
            )));
        }
        Self::of(place, fields)
    }

    /// Checks a row's fields, `messages` among them and nulls left out.
    pub(crate) fn of(
        place: &str,
        fields: Map<String, Value>,
    ) -> Result<Self, Vec<(String, Problem)>> {
        let id = match fields.get("id") {
            Some(Value::String(id)) => format!("{place} ({})", excerpt(id, 60)),
            Some(Value::Number(id)) => format!("{place} ({id})"),
            _ => place.to_owned(),
        };
        let (messages, tools) = message_check::checked(fields)?;
        Ok(Self {
            id,
            messages,
            tools,
        })
    }

    /// Returns which one it is: `train.jsonl:12`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns its messages as a chat template takes them.
    pub fn messages(&self) -> &[Value] {
        &self.messages
    }

    /// Returns the functions the assistant may call, if any.
    pub fn tools(&self) -> Option<&[Value]> {
        self.tools.as_deref()
    }
}
