use serde_json::{Map, Number, Value};

use super::pick::Pick;

/// Returns a value that `schema` accepts: all properties of objects, the least number of items of
/// arrays (one, if not said), integers within their bounds (1 to 5, if not said).
pub(super) fn fill(schema: &Value, pick: &mut Pick) -> Value {
    fill_within(schema, schema, pick)
}

fn fill_within(schema: &Value, root: &Value, pick: &mut Pick) -> Value {
    if let Some(path) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(path.trim_start_matches('#'));
        return target.map_or(Value::Null, |target| fill_within(target, root, pick));
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return pick.one(values).clone();
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema.get(key).and_then(|all| all.get(0)) {
            return fill_within(first, root, pick);
        }
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        Some(kind) => kind.as_str(),
        None if schema.get("properties").is_some() => Some("object"),
        None => None,
    };
    match kind {
        Some("object") => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let filled: Map<_, _> = properties
                .into_iter()
                .flatten()
                .map(|(name, inner)| (name.clone(), fill_within(inner, root, pick)))
                .collect();
            Value::Object(filled)
        }
        Some("array") => {
            let n_items = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1);
            let items = schema.get("items").unwrap_or(&Value::Null);
            (0..n_items)
                .map(|_| fill_within(items, root, pick))
                .collect()
        }
        Some("boolean") => Value::Bool(pick.below(2) == 1),
        Some("integer") => {
            let bound = |key: &str, usual| schema.get(key).and_then(Value::as_i64).unwrap_or(usual);
            let least = bound("minimum", 1);
            let most = bound("maximum", least.max(5)).max(least);
            let width = usize::try_from(most - least + 1).expect("a small range");
            let offset = i64::try_from(pick.below(width)).expect("a small range");
            Value::from(least + offset)
        }
        Some("number") => {
            let bound = |key: &str, usual| schema.get(key).and_then(Value::as_f64).unwrap_or(usual);
            let least = bound("minimum", 0.0);
            let most = bound("maximum", least + 1.0);
            let drawn = least + (most - least) * pick.unit();
            Number::from_f64(drawn).map_or(Value::Null, Value::Number)
        }
        Some("null") => Value::Null,
        _ => Value::from(*pick.one(&[
            "The reply names what the person said.",
            "The reply keeps to the subject.",
            "The reply asks before it advises.",
        ])),
    }
}
