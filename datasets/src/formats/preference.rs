use serde_json::{Map, Value};

use super::Message;
use super::messages::{role, said};
use super::prompt_completion::{read_prompt, read_side};
use crate::fault::Problem;
use crate::message_check::Found;
use crate::role::Role;

/// A prompt and two replies to it.
pub(super) struct Pair {
    pub(super) prompt: Vec<Message>,
    pub(super) chosen: Vec<Message>,
    pub(super) rejected: Vec<Message>,
}

/// Reads a pair; without a `prompt`, what both replies begin with is the prompt, as in TRL.
pub(super) fn read(fields: &mut Map<String, Value>, found: &mut Found) -> Pair {
    let has_prompt = fields.get("prompt").is_some_and(|value| !value.is_null());
    let prompt_is_text = fields.get("prompt").is_some_and(Value::is_string);
    let mut prompt = if has_prompt {
        read_prompt(fields, found)
    } else {
        fields.shift_remove("prompt");
        Vec::new()
    };
    let are_texts = fields.get("chosen").is_some_and(Value::is_string);
    let mut chosen = read_side("chosen", Role::Assistant, fields, found);
    let mut rejected = read_side("rejected", Role::Assistant, fields, found);
    if !found.is_empty() {
        return Pair {
            prompt,
            chosen,
            rejected,
        };
    }
    let fault = |mend| ("prompt".to_owned(), Problem::Preference(mend));
    // Some sets write the prompt as a text, and once more at the beginning of both lists.
    let repeats = prompt_is_text
        && [&chosen, &rejected]
            .iter()
            .all(|side| repeats(&prompt, side));
    if repeats {
        prompt.clear();
    }
    if prompt.is_empty() {
        if are_texts {
            found.push(fault(
                "is missing; two texts alone do not say where the prompt ends",
            ));
        }
        let most = chosen.len().min(rejected.len()).saturating_sub(1);
        let shared = chosen.iter().zip(&rejected).take(most);
        let shared = shared.take_while(|(one, other)| one == other).count();
        prompt = chosen.drain(..shared).collect();
        rejected.drain(..shared);
        if prompt.is_empty() && !are_texts {
            found.push(fault(
                "is missing, and `chosen` and `rejected` begin differently",
            ));
        }
    }
    Pair {
        prompt,
        chosen,
        rejected,
    }
}

/// Tells whether a list begins with the prompt, a message of the user's.
fn repeats(prompt: &[Message], list: &[Message]) -> bool {
    let user = list
        .iter()
        .find(|message| role(message) == Some(Role::User));
    match (prompt, user) {
        ([prompt], Some(user)) => said(prompt) == said(user) && list.len() > 1,
        _ => false,
    }
}
