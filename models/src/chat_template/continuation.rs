//! A final message that the model is to go on with.

use serde_json::{Map, Value};

use super::error::ChatTemplateError;
use super::python_values::is_space;

/// Names of a message's reasoning; the first is the standard one.
pub(super) const REASONING_FIELDS: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// What is written after the final message, so that its end is found in the text. It is
/// transformers' own, as a template might ask for a message's length or last character; one that
/// a message has forged comes before it and is not taken.
const TAG: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

/// The text to be continued.
pub(super) struct Continuation {
    field: String,
    text: String,
}

impl Continuation {
    /// Marks where the final message's `field` ends.
    pub(super) fn mark(
        messages: &mut [Map<String, Value>],
        field: &str,
        name: &str,
        source: &str,
    ) -> Result<Self, ChatTemplateError> {
        let nothing = || ChatTemplateError::NothingToContinue {
            field: field.to_owned(),
        };
        let message = messages.last_mut().ok_or(ChatTemplateError::NoMessages)?;
        let content = message.get(field).cloned().ok_or_else(nothing)?;
        let fields: Vec<&str> = if REASONING_FIELDS.contains(&field) {
            let same = |name: &&str| message.get(*name) == Some(&content);
            REASONING_FIELDS.into_iter().filter(same).collect()
        } else {
            vec![field]
        };
        if !fields.iter().any(|field| source.contains(field)) {
            return Err(ChatTemplateError::CannotContinue {
                name: name.to_owned(),
                field: field.to_owned(),
            });
        }
        let text = match content {
            Value::String(text) => {
                for field in fields {
                    let marked = Value::from(format!("{text}{TAG}"));
                    message.insert(field.to_owned(), marked);
                }
                text
            }
            Value::Array(_) => {
                let blocks = message.get_mut(field).and_then(Value::as_array_mut);
                let last = blocks
                    .into_iter()
                    .flatten()
                    .rev()
                    .find_map(|block| block.as_object_mut()?.get_mut("text"));
                let last = last.ok_or_else(nothing)?;
                let text = last.as_str().ok_or_else(nothing)?.to_owned();
                *last = Value::from(format!("{text}{TAG}"));
                text
            }
            _ => return Err(nothing()),
        };
        Ok(Self {
            field: field.to_owned(),
            text,
        })
    }

    /// Returns where in the rendered text the final message ends.
    pub(super) fn end(&self, rendered: &str, name: &str) -> Result<usize, ChatTemplateError> {
        let tag = rendered.rfind(TAG.trim_end());
        let is_there = rendered.contains(self.text.trim_matches(is_space));
        let Some(tag) = tag.filter(|_| is_there) else {
            return Err(ChatTemplateError::CannotContinue {
                name: name.to_owned(),
                field: self.field.clone(),
            });
        };
        if rendered[tag..].starts_with(TAG) {
            return Ok(tag);
        }
        // The template trims messages, so it would have trimmed this one's end too.
        Ok(rendered[..tag].trim_end_matches(is_space).len())
    }
}
