//! JSON as Python's `json.dumps` writes it, which is what transformers' `tojson` is.

use std::fmt::Write as _;

use minijinja::value::{Kwargs, Rest, ValueKind, ValueOrKwargs, from_args};
use minijinja::{Error, ErrorKind, State, Value};

use super::python_values::{float, optional};
use super::sandbox::{self, DEPTH_LIMIT};

/// The arguments of [`to_json`], by position or name.
type Arguments = (
    Option<Value>,
    Option<Value>,
    Option<Value>,
    Option<Value>,
    Kwargs,
);

/// The filter `tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
pub(super) fn to_json(
    state: &State,
    value: &Value,
    arguments: Rest<ValueOrKwargs>,
) -> Result<Value, Error> {
    let arguments = arguments.into_values();
    let (ensure_ascii, indent, separators, sort_keys, named): Arguments = from_args(&arguments)?;
    let ensure_ascii = optional(ensure_ascii, &named, "ensure_ascii")?;
    let indent = optional(indent, &named, "indent")?.filter(|value| !value.is_none());
    let separators = optional(separators, &named, "separators")?.filter(|value| !value.is_none());
    let sort_keys = optional(sort_keys, &named, "sort_keys")?;
    named.assert_all_used()?;
    let indent = indent.map(|value| indentation(&value)).transpose()?;
    let (item, key) = match separators {
        Some(pair) => (
            text(&pair.get_item_by_index(0)?)?,
            text(&pair.get_item_by_index(1)?)?,
        ),
        None if indent.is_some() => (",".to_owned(), ": ".to_owned()),
        None => (", ".to_owned(), ": ".to_owned()),
    };
    let mut writer = Writer {
        state,
        ensure_ascii: ensure_ascii.is_some_and(|value| value.is_true()),
        sort_keys: sort_keys.is_some_and(|value| value.is_true()),
        indent,
        item,
        key,
        out: String::new(),
        counted: 0,
    };
    writer.value(value, 0)?;
    writer.count()?;
    Ok(Value::from(writer.out))
}

fn indentation(value: &Value) -> Result<String, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    let width = i64::try_from(value.clone())?.max(0);
    match usize::try_from(width) {
        Ok(width @ ..=64) => Ok(" ".repeat(width)),
        _ => Err(wrong("`indent` may be 64 in a chat template")),
    }
}

fn text(value: &Value) -> Result<String, Error> {
    let text = value
        .as_str()
        .ok_or_else(|| wrong("`separators` must be two strings"))?;
    Ok(text.to_owned())
}

fn wrong(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

struct Writer<'a, 'b, 'c> {
    state: &'a State<'b, 'c>,
    ensure_ascii: bool,
    sort_keys: bool,
    indent: Option<String>,
    item: String,
    key: String,
    out: String,
    /// Bytes of `out` already taken from the budget.
    counted: usize,
}

impl Writer<'_, '_, '_> {
    fn count(&mut self) -> Result<(), Error> {
        sandbox::spend(self.state, self.out.len() - self.counted)?;
        self.counted = self.out.len();
        Ok(())
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEPTH_LIMIT {
            return Err(wrong(
                "the value is nested too deeply to be written as JSON",
            ));
        }
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self
                .out
                .push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => {
                let number = number(value);
                self.out.push_str(&number);
            }
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Map => self.object(value, depth)?,
            // Python writes tuples as lists, and has no JSON for what is merely iterable; what a
            // slice or a concatenation gives is a list there and merely iterable here.
            ValueKind::Seq | ValueKind::Iterable => self.array(value, depth)?,
            ValueKind::Undefined => {
                return Err(wrong("Object of type Undefined is not JSON serializable"));
            }
            kind => {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    format!("{kind} is not JSON serializable"),
                ));
            }
        }
        Ok(())
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            for _ in 0..depth {
                self.out.push_str(indent);
            }
        }
    }

    fn array(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.out.push('[');
        let mut empty = true;
        for item in value.try_iter()? {
            if !empty {
                self.out.push_str(&self.item);
            }
            empty = false;
            self.line(depth + 1);
            self.value(&item, depth + 1)?;
            self.count()?;
        }
        if !empty {
            self.line(depth);
        }
        self.out.push(']');
        Ok(())
    }

    fn object(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let mut keys: Vec<Value> = value.try_iter()?.collect();
        if self.sort_keys {
            keys.sort();
        }
        self.out.push('{');
        for (index, key) in keys.iter().enumerate() {
            if index > 0 {
                self.out.push_str(&self.item);
            }
            self.line(depth + 1);
            match key.kind() {
                ValueKind::String => self.string(key.as_str().unwrap_or_default()),
                ValueKind::None => self.out.push_str("\"null\""),
                ValueKind::Bool if key.is_true() => self.out.push_str("\"true\""),
                ValueKind::Bool => self.out.push_str("\"false\""),
                ValueKind::Number => {
                    let number = number(key);
                    let _ = write!(self.out, "\"{number}\"");
                }
                _ => return Err(wrong("a key of an object must be text or a number")),
            }
            self.out.push_str(&self.key);
            self.value(&value.get_item(key)?, depth + 1)?;
            self.count()?;
        }
        if !keys.is_empty() {
            self.line(depth);
        }
        self.out.push('}');
        Ok(())
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                c if c < ' ' || self.ensure_ascii && !(' '..='~').contains(&c) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let _ = write!(self.out, "\\u{unit:04x}");
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

fn number(value: &Value) -> String {
    match f64::try_from(value.clone()) {
        Ok(number) if !value.is_integer() => match float(number).as_str() {
            "inf" => "Infinity".to_owned(),
            "-inf" => "-Infinity".to_owned(),
            "nan" => "NaN".to_owned(),
            number => number.to_owned(),
        },
        _ => value.to_string(),
    }
}
