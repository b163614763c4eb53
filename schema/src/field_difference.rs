use serde::Serialize;
use serde_json::Value;

/// One field of a plan, or of part of one, that is not the same as elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldDifference {
    /// Its path, e.g. `personas.count` or `models.tuned.source.digest`.
    pub field: String,
    /// What it is on the one side; `null`: it is not there.
    pub old: Value,
    /// What it is on the other.
    pub new: Value,
}

impl std::fmt::Display for FieldDifference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { field, old, new } = self;
        write!(f, "`{field}`: {} became {}", shown(old), shown(new))
    }
}

/// Returns a value in few characters: digests by their first digits, long texts by their beginning.
fn shown(value: &Value) -> String {
    const MOST: usize = 60;
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) if is_digest(text) => text[..12].to_owned(),
        value => value.to_string(),
    };
    if text.chars().count() > MOST {
        let start: String = text.chars().take(MOST - 1).collect();
        format!("{start}…")
    } else {
        text
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}
