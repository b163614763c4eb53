use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::border::{completion_at, has_reply};
use super::messages::role;
use super::preference::Pair;
use super::prompt_completion::{list, prompt_text, read_prompt, read_side, reply_text};
use super::{Format, Message, Note, Unexpressed, alpaca, messages, preference, sharegpt};
use crate::fault::Problem;
use crate::json_value::json_value;
use crate::message_check::{self, Found};
use crate::role::Role;

/// What a row of training data says, whichever format it is written in.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    speech: Speech,
    tools: Option<Vec<Value>>,
    /// Fields that no format has a meaning for.
    more: Map<String, Value>,
    notes: BTreeSet<Note>,
}

#[derive(Clone, Debug, PartialEq)]
enum Speech {
    Conversation {
        messages: Vec<Message>,
        /// Where the completion begins, if the format says it.
        completion_at: Option<usize>,
    },
    Preference {
        prompt: Vec<Message>,
        chosen: Vec<Message>,
        rejected: Vec<Message>,
    },
}

/// A row as it was written, with what was left out on the way and what to know of it.
pub(crate) struct WrittenRow {
    pub(crate) fields: Map<String, Value>,
    pub(crate) left_out: BTreeSet<Unexpressed>,
    pub(crate) notes: BTreeSet<Note>,
}

impl Row {
    /// Reads the fields of a row; errors with everything that is wrong, each with its field.
    pub fn read(
        mut fields: Map<String, Value>,
        format: Format,
    ) -> Result<Self, Vec<(String, Problem)>> {
        let mut found = Vec::new();
        fields.retain(|_, value| !value.is_null());
        let mut notes = BTreeSet::new();
        let tools = read_tools(fields.shift_remove("tools"), &mut found);
        let speech = match format {
            Format::Messages => Speech::of(required("messages", &mut fields, &mut found)),
            Format::ShareGpt => {
                let mut said = required("conversations", &mut fields, &mut found);
                if let Some(system) = fields.shift_remove("system")
                    && system != ""
                {
                    let system =
                        messages::read_text(Role::System, Some(system), "system", &mut found);
                    said.splice(..0, system);
                }
                Speech::of(said)
            }
            Format::Alpaca => {
                let (messages, note) = alpaca::read(&mut fields, &mut found);
                notes.extend(note);
                Speech::of(messages)
            }
            Format::PromptCompletion | Format::PromptCompletionText => {
                let mut messages = read_prompt(&mut fields, &mut found);
                let completion_at = Some(messages.len());
                let reply = read_side("completion", Role::Assistant, &mut fields, &mut found);
                messages.extend(reply);
                Speech::Conversation {
                    messages,
                    completion_at,
                }
            }
            Format::Preference | Format::PreferenceText => {
                let Pair {
                    prompt,
                    chosen,
                    rejected,
                } = preference::read(&mut fields, &mut found);
                Speech::Preference {
                    prompt,
                    chosen,
                    rejected,
                }
            }
        };
        if !found.is_empty() {
            return Err(found);
        }
        Ok(Self {
            speech,
            tools,
            more: fields,
            notes,
        })
    }

    /// Writes the row; errors with what the format cannot express.
    ///
    /// If `is_lossy`, what a row makes sense without is left out instead.
    pub fn write(
        &self,
        format: Format,
        is_lossy: bool,
    ) -> Result<Map<String, Value>, BTreeSet<Unexpressed>> {
        self.written(format, is_lossy).map(|written| written.fields)
    }

    pub(crate) fn written(
        &self,
        format: Format,
        is_lossy: bool,
    ) -> Result<WrittenRow, BTreeSet<Unexpressed>> {
        let mut fields = Map::new();
        let mut lost = Vec::new();
        let mut notes = self.notes.clone();
        match format {
            Format::Messages | Format::ShareGpt | Format::Alpaca => {
                let all = self.conversation(&mut lost, &mut notes);
                match format {
                    Format::Messages => {
                        fields.insert("messages".to_owned(), list(&all));
                    }
                    Format::ShareGpt => {
                        let written = sharegpt::written(&all, &mut lost);
                        fields.insert("conversations".to_owned(), written);
                    }
                    _ => alpaca::write(&all, &mut fields, &mut lost),
                }
            }
            Format::PromptCompletion | Format::PromptCompletionText => {
                let (prompt, reply) = self.prompt_and_reply(&mut lost, &mut notes);
                let is_text = format == Format::PromptCompletionText;
                let sides = [("prompt", prompt), ("completion", reply)];
                write_sides(&sides, is_text, &mut fields, &mut lost);
            }
            Format::Preference | Format::PreferenceText => match &self.speech {
                Speech::Conversation { .. } => lost.push(Unexpressed::NoRejected),
                Speech::Preference {
                    prompt,
                    chosen,
                    rejected,
                } => {
                    let is_text = format == Format::PreferenceText;
                    let sides = [
                        ("prompt", &prompt[..]),
                        ("chosen", &chosen[..]),
                        ("rejected", &rejected[..]),
                    ];
                    write_sides(&sides, is_text, &mut fields, &mut lost);
                }
            },
        }
        self.write_rest(format, &mut fields, &mut lost);
        let lost: BTreeSet<Unexpressed> = lost.into_iter().collect();
        if lost.iter().any(|one| !is_lossy || !one.can_be_left_out()) {
            return Err(lost);
        }
        Ok(WrittenRow {
            fields,
            left_out: lost,
            notes,
        })
    }

    /// Returns every conversation in it as a chat template takes it: two of a pair, else one.
    pub(crate) fn conversations(&self) -> Vec<Vec<Message>> {
        match &self.speech {
            Speech::Conversation { messages, .. } => vec![messages.clone()],
            Speech::Preference {
                prompt,
                chosen,
                rejected,
            } => vec![
                [&prompt[..], chosen].concat(),
                [&prompt[..], rejected].concat(),
            ],
        }
    }

    /// Returns the functions the assistant may call, if any.
    pub(crate) fn tools(&self) -> Option<&[Value]> {
        self.tools.as_deref()
    }

    /// Returns a field that no format has a meaning for.
    pub(crate) fn more(&self) -> &Map<String, Value> {
        &self.more
    }

    /// Returns all messages, the preferred reply of a pair last.
    fn conversation(
        &self,
        lost: &mut Vec<Unexpressed>,
        notes: &mut BTreeSet<Note>,
    ) -> Vec<Message> {
        match &self.speech {
            Speech::Conversation {
                messages,
                completion_at,
            } => {
                if let Some(at) = completion_at
                    && (has_reply(&messages[..*at]) || completes_with_user(&messages[*at..]))
                {
                    notes.insert(Note::AllReplies);
                }
                messages.clone()
            }
            Speech::Preference { prompt, chosen, .. } => {
                lost.push(Unexpressed::Rejected);
                [&prompt[..], chosen].concat()
            }
        }
    }

    fn prompt_and_reply(
        &self,
        lost: &mut Vec<Unexpressed>,
        notes: &mut BTreeSet<Note>,
    ) -> (&[Message], &[Message]) {
        match &self.speech {
            Speech::Conversation {
                messages,
                completion_at: said,
            } => {
                let at = said.unwrap_or_else(|| completion_at(messages));
                let (prompt, reply) = messages.split_at(at);
                if said.is_none() && has_reply(prompt) {
                    notes.insert(Note::LastReply);
                }
                if prompt.is_empty() {
                    lost.push(Unexpressed::NoPrompt);
                }
                if reply.is_empty() {
                    lost.push(Unexpressed::NoReply);
                }
                (prompt, reply)
            }
            Speech::Preference { prompt, chosen, .. } => {
                lost.push(Unexpressed::Rejected);
                (prompt, chosen)
            }
        }
    }

    /// Writes the tools and the fields that no format has a meaning for.
    fn write_rest(
        &self,
        format: Format,
        fields: &mut Map<String, Value>,
        lost: &mut Vec<Unexpressed>,
    ) {
        if let Some(tools) = &self.tools {
            let list = Value::Array(tools.clone());
            match format {
                Format::Messages | Format::PromptCompletion | Format::Preference => {
                    fields.insert("tools".to_owned(), list);
                }
                // A text of JSON, as LLaMA-Factory reads it.
                Format::ShareGpt => {
                    fields.insert("tools".to_owned(), list.to_string().into());
                }
                Format::Alpaca | Format::PromptCompletionText | Format::PreferenceText => {
                    lost.push(Unexpressed::Tools);
                }
            }
        }
        for (name, value) in &self.more {
            if format.fields().contains(&name.as_str()) {
                lost.push(Unexpressed::Field(name.clone()));
            } else {
                fields.insert(name.clone(), value.clone());
            }
        }
    }
}

impl Speech {
    fn of(messages: Vec<Message>) -> Self {
        Self::Conversation {
            messages,
            completion_at: None,
        }
    }
}

fn completes_with_user(completion: &[Message]) -> bool {
    completion
        .iter()
        .any(|message| role(message) == Some(Role::User))
}

/// Writes a prompt and what follows it, as texts or as lists.
fn write_sides(
    sides: &[(&str, &[Message])],
    is_text: bool,
    fields: &mut Map<String, Value>,
    lost: &mut Vec<Unexpressed>,
) {
    for &(name, side) in sides {
        let written = match (is_text, name) {
            (false, _) => list(side),
            (true, "prompt") => prompt_text(side, lost),
            (true, _) => reply_text(side, lost),
        };
        fields.insert(name.to_owned(), written);
    }
}

fn required(name: &str, fields: &mut Map<String, Value>, found: &mut Found) -> Vec<Message> {
    if let Some(value) = fields.shift_remove(name) {
        return messages::read(value, name, found);
    }
    let expected = "a list of messages";
    found.push((name.to_owned(), Problem::Missing { expected }));
    Vec::new()
}

/// Reads the functions that may be called, a list or a text of one.
fn read_tools(tools: Option<Value>, found: &mut Found) -> Option<Vec<Value>> {
    let tools = match tools {
        Some(Value::String(text)) if text.trim().is_empty() => None,
        Some(Value::String(text)) => Some(json_value(&text).unwrap_or(Value::String(text))),
        tools => tools,
    };
    message_check::tools(tools, found)
}
