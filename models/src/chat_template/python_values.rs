//! Values as Python has them.

use minijinja::value::Kwargs;
use minijinja::{Error, Value};

use super::sandbox::DEPTH_LIMIT;

/// Turns JSON into what a template sees; none if it is nested too deeply.
pub(super) fn from_json(value: &serde_json::Value) -> Option<Value> {
    at_depth(value, 0)
}

fn at_depth(value: &serde_json::Value, depth: usize) -> Option<Value> {
    if depth > DEPTH_LIMIT {
        return None;
    }
    Some(match value {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(value) => Value::from(*value),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::from(number),
            (None, Some(number)) => Value::from(number),
            (None, None) => Value::from(number.as_f64()?),
        },
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => {
            let items: Option<Vec<Value>> =
                items.iter().map(|item| at_depth(item, depth + 1)).collect();
            Value::from(items?)
        }
        serde_json::Value::Object(fields) => {
            let mut pairs = Vec::with_capacity(fields.len());
            for (key, value) in fields {
                pairs.push((key.as_str(), at_depth(value, depth + 1)?));
            }
            Value::from_pairs(pairs)
        }
    })
}

/// Writes a number as Python's `repr` does.
pub(super) fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..16).contains(&exponent) {
        let plain = value.to_string();
        return if plain.contains('.') {
            plain
        } else {
            plain + ".0"
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// Tells whether Python's `str.strip` takes a character away.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Returns an argument given by position or by name.
pub(super) fn optional(
    positional: Option<Value>,
    named: &Kwargs,
    name: &str,
) -> Result<Option<Value>, Error> {
    match positional {
        Some(value) => Ok(Some(value)),
        None => named.get(name),
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::float;

    #[test_case(1.0, "1.0")]
    #[test_case(-0.0, "-0.0")]
    #[test_case(0.1, "0.1")]
    #[test_case(1e16, "1e+16")]
    #[test_case(1.5e-5, "1.5e-05")]
    #[test_case(0.0001, "0.0001")]
    #[test_case(123_456_789_012_345.0, "123456789012345.0")]
    #[test_case(1e300, "1e+300")]
    #[test_case(f64::INFINITY, "inf")]
    fn floats_are_written_as_python_does(value: f64, expected: &str) {
        assert_eq!(float(value), expected);
    }
}
