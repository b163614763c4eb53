use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::conversation::Conversation;
use crate::fault::Problem;
use crate::fingerprint::Fingerprint;
use crate::formats::{Format, Message, Row};
use crate::model_tokenizer::ModelTokenizer;
use crate::personal_data::{self, PersonalData};
use crate::rendering::Rendering;

/// Characters of a row by which its language is told.
const LANGUAGE_CHARACTERS: usize = 300;

/// What is found in one row by itself.
pub(super) struct RowLook {
    pub(super) print: Fingerprint,
    pub(super) renderings: Vec<Rendering>,
    pub(super) personal_data: BTreeMap<PersonalData, usize>,
    pub(super) language: &'static str,
    /// The first two words of the user's first message.
    pub(super) opening: Option<String>,
    /// Short texts of fields that no format has a meaning for.
    pub(super) more: Vec<(String, String)>,
    pub(super) has_repeated_turn: bool,
}

impl RowLook {
    pub(super) fn of(
        id: &str,
        fields: Map<String, Value>,
        format: Format,
        tokenizer: Option<&ModelTokenizer>,
    ) -> Result<Self, Vec<(String, Problem)>> {
        let mut personal_data = BTreeMap::new();
        for value in fields.values() {
            personal_data::each_text(value, &mut |text| {
                for (kind, _) in personal_data::find(text) {
                    *personal_data.entry(kind).or_default() += 1;
                }
            });
        }
        let row = Row::read(fields, format)?;
        let conversations = row.conversations();
        if let [chosen, rejected] = &conversations[..]
            && chosen == rejected
        {
            let same = "is the same as `chosen`, so there is nothing to prefer";
            return Err(vec![("rejected".to_owned(), Problem::Preference(same))]);
        }
        let messages = &conversations[0];
        let print = Fingerprint::of_conversations(&conversations, row.tools());
        let language = language(messages);
        let opening = opening(messages);
        let has_repeated_turn = has_repeated_turn(messages);
        let mut renderings = Vec::new();
        for messages in conversations {
            let conversation = conversation(id, &row, messages)?;
            let Some(tokenizer) = tokenizer else {
                continue;
            };
            let rendered = tokenizer.render(&conversation);
            renderings
                .push(rendered.map_err(|error| vec![(String::new(), Problem::Render(error))])?);
        }
        let more = row.more().iter().filter_map(|(name, value)| {
            let value = value.as_str()?;
            (name != "id" && value.len() <= 60).then(|| (name.clone(), value.to_owned()))
        });
        Ok(Self {
            print,
            renderings,
            personal_data,
            language,
            opening,
            more: more.collect(),
            has_repeated_turn,
        })
    }
}

/// Checks a conversation as training does.
fn conversation(
    id: &str,
    row: &Row,
    messages: Vec<Message>,
) -> Result<Conversation, Vec<(String, Problem)>> {
    let mut fields = Map::new();
    let messages = messages.into_iter().map(Value::Object);
    fields.insert("messages".to_owned(), messages.collect());
    if let Some(tools) = row.tools() {
        fields.insert("tools".to_owned(), Value::Array(tools.to_vec()));
    }
    if let Some(own) = row.more().get("id") {
        fields.insert("id".to_owned(), own.clone());
    }
    Conversation::of(id, fields)
}

fn said(message: &Message) -> &str {
    let content = message.get("content").and_then(Value::as_str);
    content.unwrap_or_default()
}

/// Returns the English name of the language that user and assistant speak, if it can be told.
fn language(messages: &[Message]) -> &'static str {
    let mut text = String::new();
    for message in messages {
        if message
            .get("role")
            .is_some_and(|role| role == "user" || role == "assistant")
        {
            let room = LANGUAGE_CHARACTERS.saturating_sub(text.len());
            text.extend(said(message).chars().take(room));
            text.push(' ');
        }
    }
    match whatlang::detect(&text) {
        Some(found) if found.is_reliable() => found.lang().eng_name(),
        _ => "not told apart",
    }
}

fn opening(messages: &[Message]) -> Option<String> {
    let mut users = messages.iter();
    let first = users.find(|message| message.get("role").is_some_and(|role| role == "user"))?;
    let words: Vec<String> = said(first)
        .split(|c: char| !c.is_alphanumeric() && c != '\'')
        .filter(|word| !word.is_empty())
        .take(2)
        .map(|word| word.chars().take(20).collect::<String>().to_lowercase())
        .collect();
    (words.len() == 2).then(|| words.join(" "))
}

/// Tells whether the user or the assistant says the same twice, in more than a word or two.
fn has_repeated_turn(messages: &[Message]) -> bool {
    let mut seen = BTreeSet::new();
    messages
        .iter()
        .filter(|message| said(message).split_whitespace().nth(3).is_some())
        .any(|message| !seen.insert((message.get("role").and_then(Value::as_str), said(message))))
}
