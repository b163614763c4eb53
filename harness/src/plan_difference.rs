//! Where two plans, or parts of them, differ: field by field, with both values.

use serde::Serialize;
use serde_json::Value;
use shipworthy_schema::FieldDifference;

/// Returns the fields in which `old` and `new` differ, in the order of their fields.
///
/// Lists of things with a name or an id (models, judges, criteria) are compared by it, other lists as a
/// whole.
pub fn differences(old: &impl Serialize, new: &impl Serialize) -> Vec<FieldDifference> {
    let value = |it: Result<Value, serde_json::Error>| it.expect("a plan is plain data");
    let mut found = Vec::new();
    compare(
        String::new(),
        &value(serde_json::to_value(old)),
        &value(serde_json::to_value(new)),
        &mut found,
    );
    found
}

fn compare(path: String, old: &Value, new: &Value, found: &mut Vec<FieldDifference>) {
    if old == new {
        return;
    }
    let fields = match (fields_of(old), fields_of(new)) {
        (Some(old), Some(new)) => Some((old, new)),
        _ => None,
    };
    let Some((olds, news)) = fields else {
        found.push(FieldDifference {
            field: path,
            old: old.clone(),
            new: new.clone(),
        });
        return;
    };
    let mut names: Vec<&str> = olds.iter().map(|(name, _)| name.as_str()).collect();
    for (name, _) in &news {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let value = |fields: &[(String, Value)], name: &str| {
        let found = fields.iter().find(|(own, _)| own == name);
        found.map_or(Value::Null, |(_, value)| value.clone())
    };
    for name in names {
        let path = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
        compare(path, &value(&olds, name), &value(&news, name), found);
    }
}

/// Returns an object's fields, or a list's entries by their names.
fn fields_of(value: &Value) -> Option<Vec<(String, Value)>> {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter();
            Some(
                fields
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
            )
        }
        Value::Array(entries) if !entries.is_empty() => entries
            .iter()
            .map(|entry| {
                let own = entry.get("name").or_else(|| entry.get("id"));
                let name = own.or_else(|| entry.pointer("/model/name"))?;
                Some((name.as_str()?.to_owned(), entry.clone()))
            })
            .collect(),
        Value::Array(_) => Some(Vec::new()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::differences;

    #[test]
    fn fields_are_named_by_path_and_models_by_name() {
        let old = json!({
            "personas": {"count": 15, "pool": "a".repeat(64)}, "looks": [5, 15], "judges": [],
            "models": [{"name": "base", "x": 1}, {"name": "tuned", "x": 2}],
        });
        let new = json!({
            "personas": {"count": 20, "pool": "b".repeat(64)}, "looks": [10, 15],
            "judges": [{"model": {"name": "judge"}}],
            "models": [{"name": "other", "x": 1}, {"name": "tuned", "x": 3}],
        });
        let fields: Vec<String> = differences(&old, &new)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            fields,
            [
                "`personas.count`: 15 became 20",
                "`personas.pool`: aaaaaaaaaaaa became bbbbbbbbbbbb",
                "`looks`: [5,15] became [10,15]",
                "`judges.judge`: none became {\"model\":{\"name\":\"judge\"}}",
                "`models.base`: {\"name\":\"base\",\"x\":1} became none",
                "`models.tuned.x`: 2 became 3",
                "`models.other`: none became {\"name\":\"other\",\"x\":1}",
            ]
        );
        assert!(differences(&old, &old).is_empty());
    }
}
