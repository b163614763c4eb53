use serde_json::Value;
use test_case::test_case;

use crate::support::words::project;

/// Returns what of `value` the published schema does not allow; of JSON Schema it knows the words that
/// this schema uses.
fn faults(schema: &Value, node: &Value, value: &Value, path: &str) -> Vec<String> {
    if let Some(name) = node.get("$ref").and_then(Value::as_str) {
        let target = schema.pointer(name.trim_start_matches('#')).unwrap();
        return faults(schema, target, value, path);
    }
    for word in ["anyOf", "oneOf"] {
        if let Some(choices) = node.get(word).and_then(Value::as_array) {
            let fits = |choice: &&Value| faults(schema, choice, value, path).is_empty();
            if !choices.iter().any(|choice| fits(&choice)) {
                return vec![format!("{path}: nothing fits {value}")];
            }
        }
    }
    let mut found = Vec::new();
    let mut check = |is_right: bool, what: &str| {
        if !is_right {
            found.push(format!("{path}: {what}: {value}"));
        }
    };
    if let Some(only) = node.get("const") {
        check(value == only, "another constant");
    }
    if let Some(words) = node.get("enum").and_then(Value::as_array) {
        check(words.contains(value), "no such word");
    }
    if let Some(kind) = node.get("type").and_then(Value::as_str) {
        let is_right = match kind {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_u64(),
            "number" => value.is_number(),
            "null" => value.is_null(),
            other => panic!("{other}"),
        };
        check(is_right, kind);
    }
    if let (Some(number), Some(most)) = (value.as_f64(), node.get("maximum")) {
        check(number <= most.as_f64().unwrap(), "too large");
    }
    if let (Some(number), Some(least)) = (value.as_f64(), node.get("minimum")) {
        check(number >= least.as_f64().unwrap(), "too small");
    }
    if let (Value::Object(fields), Some(known)) = (value, node.get("properties")) {
        for name in node["required"].as_array().into_iter().flatten() {
            check(
                fields.contains_key(name.as_str().unwrap()),
                &format!("lacks {name}"),
            );
        }
        for (name, field) in fields {
            match known.get(name) {
                Some(node) => found.extend(faults(schema, node, field, &format!("{path}/{name}"))),
                None => found.push(format!("{path}: unknown {name}")),
            }
        }
    }
    if let (Value::Array(entries), Some(node)) = (value, node.get("items")) {
        for (i, entry) in entries.iter().enumerate() {
            found.extend(faults(schema, node, entry, &format!("{path}/{i}")));
        }
    }
    found
}

#[test_case(5, |i| 6 + i % 2, ""; "ship")]
#[test_case(5, |i| 5 + i % 2, ""; "iterate")]
#[test_case(5, |i| 4 + 5 * (i % 2), ""; "more evidence")]
#[test_case(4, |i| 8 + i % 2, ""; "hold")]
#[test_case(5, |i| 6 + i % 2, "harm"; "do not deploy")]
fn every_decision_is_what_the_published_schema_says(
    base: usize,
    tuned: fn(usize) -> usize,
    extra: &str,
) {
    let published = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/decision.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(published).unwrap()).unwrap();
    let project = project(base, tuned, extra);
    project.run(&["eval", "--exit-zero"]);
    let mut decision: Value = serde_json::from_str(&project.artefact("decision.json")).unwrap();
    assert_eq!(
        faults(&schema, &schema, &decision, ""),
        Vec::<String>::new()
    );
    // The check can fail.
    decision["candidates"][0]["difference"] = "0.1".into();
    decision["ranking"]["new"] = 1.into();
    assert_eq!(faults(&schema, &schema, &decision, "").len(), 2);
}
