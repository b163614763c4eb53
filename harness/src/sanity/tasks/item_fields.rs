//! Fields of a row, read strictly.

use serde_json::Value;

/// Returns what a value is, in words.
pub(super) fn kind(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number(value) => format!("the number {value}"),
        Value::String(text) => {
            let start: String = text.chars().take(40).collect();
            format!("the text `{start}`")
        }
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// Returns the texts of a list of texts.
pub(super) fn texts(value: &Value) -> Option<Vec<String>> {
    let texts = value.as_array()?.iter();
    texts.map(|text| text.as_str().map(str::to_owned)).collect()
}

/// Finds which choice is right: by its place from 0, or as a text among them.
pub(super) fn gold(answer: &Value, choices: &[String]) -> Result<usize, String> {
    let found = match answer {
        Value::Number(number) => number
            .as_u64()
            .and_then(|idx| usize::try_from(idx).ok())
            .filter(|idx| *idx < choices.len()),
        Value::String(text) => choices.iter().position(|choice| choice == text),
        _ => None,
    };
    found.ok_or_else(|| {
        format!(
            "the answer is {}, expected one of the {} choices or its place, counted from 0",
            kind(answer),
            choices.len()
        )
    })
}

/// Checks the choices of a question: two at least, none of them empty.
pub(super) fn check_choices(choices: &[String]) -> Result<(), String> {
    if choices.len() < 2 {
        return Err(format!(
            "it has {} choices, expected 2 or more",
            choices.len()
        ));
    }
    match choices.iter().position(String::is_empty) {
        Some(idx) => Err(format!("choice {idx} is empty")),
        None => Ok(()),
    }
}
