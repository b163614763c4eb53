use std::fmt::{self, Write as _};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A JSON object, or what was meant as one, found in a text.
#[derive(Debug, PartialEq)]
pub(crate) enum Found {
    /// It is complete and each of its keys stands once.
    Object(Map<String, Value>),
    /// It is closed and no JSON; the reason why.
    Invalid(String),
    /// The text ends before it does.
    Unclosed,
}

/// Braces that turn out to be no JSON before the search gives up. Each costs a pass over the
/// rest of the text, and a reply that holds more is no answer.
const MOST_FAILURES: usize = 64;

/// Returns the outermost objects of `text` in order, whatever stands around them.
///
/// Trailing commas and raw line breaks inside strings are mended. Inside a brace that does not
/// hold JSON the search goes on, so such a brace may be followed by objects that stand within
/// it; braces of prose, which no quotation mark follows, are passed over in silence.
pub(crate) fn objects(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let mut failures = 0;
    let mut at = 0;
    while let Some(offset) = text[at..].find('{') {
        let start = at + offset;
        at = start + 1;
        let failure = match object_len(&text[start..]) {
            Some(len) => match parse(&text[start..start + len]) {
                Ok(object) => {
                    found.push(Found::Object(object));
                    at = start + len;
                    continue;
                }
                Err(error) => Found::Invalid(error),
            },
            None => Found::Unclosed,
        };
        if text[at..].trim_start().starts_with(['"', '\'']) || text[at..].trim().is_empty() {
            found.push(failure);
        }
        failures += 1;
        if failures == MOST_FAILURES {
            found.push(Found::Invalid("too many braces".to_owned()));
            break;
        }
    }
    found
}

/// Returns the length of the balanced braces `text` begins with, strings respected.
fn object_len(text: &str) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

fn parse(text: &str) -> Result<Map<String, Value>, String> {
    let strict = serde_json::from_str::<OneOfEach>(text);
    let read = strict.or_else(|_| serde_json::from_str(&mended(text)));
    match read {
        Ok(OneOfEach(Value::Object(object))) => Ok(object),
        Ok(_) => Err("not an object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Drops commas before a closing bracket and escapes control characters inside strings.
fn mended(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        if in_string {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_string = false,
                _ => {}
            }
            if c.is_ascii_control() {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            } else {
                out.push(c);
            }
        } else {
            in_string = c == '"';
            if c != ',' || !text[at + 1..].trim_start().starts_with(['}', ']']) {
                out.push(c);
            }
        }
    }
    out
}

/// A JSON value in which no key stands twice. Of two verdicts on one criterion neither is the
/// answer, while [`Value`] alone would keep the second and say nothing.
struct OneOfEach(Value);

impl<'de> Deserialize<'de> for OneOfEach {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOfEachVisitor).map(Self)
    }
}

struct OneOfEachVisitor;

impl<'de> Visitor<'de> for OneOfEachVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(OneOfEach(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, OneOfEach(value))) = map.next_entry::<String, _>()? {
            if object.insert(key.clone(), value).is_some() {
                return Err(Error::custom(format_args!("key `{key}` stands twice")));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::{Found, objects};

    fn shape(text: &str) -> String {
        let shapes = objects(text).into_iter().map(|found| match found {
            Found::Object(object) => serde_json::to_string(&object).unwrap(),
            Found::Invalid(_) => "invalid".to_owned(),
            Found::Unclosed => "unclosed".to_owned(),
        });
        shapes.collect::<Vec<_>>().join(" ")
    }

    #[test_case("none here", ""; "prose")]
    #[test_case("I {think} so {", "unclosed"; "braces of prose")]
    #[test_case("```json\n{\"a\": 1}\n``` done", "{\"a\":1}"; "fence")]
    #[test_case("{\"a\": [1, 2,], }", "{\"a\":[1,2]}"; "trailing commas")]
    #[test_case("{\"a\": \"x, }\ny\"}", "{\"a\":\"x, }\\ny\"}"; "line break in a string")]
    #[test_case("{\"a\": \"}\\\"{\"} {\"b\": 2}", "{\"a\":\"}\\\"{\"} {\"b\":2}"; "braces in strings")]
    #[test_case("{\"a\": {\"b\": 1}", "unclosed {\"b\":1}"; "cut off")]
    #[test_case("{'a': 1}", "invalid"; "single quotes")]
    #[test_case("{\"a\": 1, \"a\": 2}", "invalid"; "key twice")]
    #[test_case("{\"a\": NaN}", "invalid"; "not a number")]
    fn objects_are_found(text: &str, expected: &str) {
        assert_eq!(shape(text), expected);
    }

    #[test]
    fn nests_of_braces_end_soon() {
        assert_eq!(shape(&"{".repeat(1 << 20)), "invalid");
        let deep = "{\"a\":".repeat(1 << 16) + "1" + &"}".repeat(1 << 16);
        assert!(shape(&deep).starts_with("invalid"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[{}\\[\\]\",:\\\\a1 \n\u{e9}\u{4f60}-]{0,60}") {
            objects(&text);
        }
    }
}
