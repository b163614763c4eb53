use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::fault::Problem;
use crate::visible_text::{excerpt, visible};
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
        let value = match serde_json::from_str(line) {
            Ok(UniqueKeys(value)) => value,
            Err(error) => return Err(whole(Problem::NotJson(describe(&error)))),
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

/// Says of what kind a value is, in words.
pub(crate) fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(is) => is.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text `{}`", excerpt(text, 30)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

fn names(fields: &Map<String, Value>) -> String {
    if fields.is_empty() {
        return "an empty object".to_owned();
    }
    let names: Vec<String> = fields
        .keys()
        .take(6)
        .map(|name| format!("`{}`", excerpt(name, 30)))
        .collect();
    let more = if fields.len() > names.len() {
        " and more"
    } else {
        ""
    };
    format!("one with {}{more}", names.join(", "))
}

/// Says what is wrong and in which column; the line is not the file's, as each is read alone.
fn describe(error: &serde_json::Error) -> String {
    let said = visible(&error.to_string());
    let place = format!(" at line {} column {}", error.line(), error.column());
    match said.strip_suffix(&place) {
        Some(said) => format!("column {}: {said}", error.column()),
        None => said,
    }
}

/// JSON in which no object has a key twice: of two contents one would be lost in silence.
struct UniqueKeys(Value);

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(UniqueKeys(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if fields.contains_key(&name) {
                let name = excerpt(&name, 30);
                return Err(A::Error::custom(format_args!("`{name}` is there twice")));
            }
            let UniqueKeys(value) = entries.next_value()?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}
