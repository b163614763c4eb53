use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::visible_text::{excerpt, visible};

/// Reads one JSON value; says what is wrong and in which column.
pub(crate) fn json_value(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(UniqueKeys(value)) => Ok(value),
        Err(error) => Err(describe(&error)),
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

/// Names the fields of an object, in words.
pub(crate) fn names(fields: &Map<String, Value>) -> String {
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
