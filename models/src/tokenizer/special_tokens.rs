use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::error::{TokenizerError, TokenizerProblem};
use super::tokenizer_config::{self, TokenizerConfig};
use super::tokenizer_json::TokenizerJson;
use super::vocabulary::{SpecialToken, VocabularyValue};
use crate::{json_file, model_config};

/// Roles by the name the files give them; `cls` has none in a model file.
const ROLES: [(&str, Option<SpecialToken>); 9] = [
    ("bos", Some(SpecialToken::Bos)),
    ("eos", Some(SpecialToken::Eos)),
    ("unk", Some(SpecialToken::Unknown)),
    ("sep", Some(SpecialToken::Separator)),
    ("pad", Some(SpecialToken::Padding)),
    ("cls", None),
    ("mask", Some(SpecialToken::Mask)),
    // These two are asked for only once a token has lost its role of ending a sequence.
    ("eot", Some(SpecialToken::Eot)),
    ("eom", Some(SpecialToken::Eom)),
];
/// How many of the roles are always asked for.
const USUAL_ROLES: usize = 7;

/// Ids of the tokens with a role, and which of them are put around a text.
#[derive(Clone, Debug, Default)]
pub(super) struct SpecialTokens {
    /// In the order found, which is that of the metadata.
    ids: Vec<(SpecialToken, u32)>,
    adds: Vec<(SpecialToken, bool)>,
    /// What is said after the chat template.
    late: Vec<(SpecialToken, u32)>,
}

impl SpecialTokens {
    pub(super) fn id(&self, token: SpecialToken) -> Option<u32> {
        let all = self.ids.iter().chain(&self.late);
        all.into_iter()
            .find(|(found, _)| *found == token)
            .map(|(_, id)| *id)
    }

    pub(super) fn adds(&self, token: SpecialToken) -> Option<bool> {
        let found = self.adds.iter().find(|(found, _)| *found == token);
        found.map(|(_, value)| *value)
    }

    fn set_id(&mut self, token: SpecialToken, id: u32) {
        if self.id(token).is_none() {
            self.ids.push((token, id));
        }
    }

    fn set_adds(&mut self, token: SpecialToken, value: bool) {
        match self.adds.iter_mut().find(|(found, _)| *found == token) {
            Some((_, old)) => *old = value,
            None => self.adds.push((token, value)),
        }
    }

    /// Sets what the converter knows of two Llama models by the size of their vocabulary alone.
    pub(super) fn amend(&mut self, vocab_size: usize) {
        match vocab_size {
            // Code Llama ends what it fills in with a token of its own.
            32016 if self.id(SpecialToken::Eot).is_none() => {
                self.late.push((SpecialToken::Eot, 32010));
            }
            // SmolLM and small Granite models.
            49152 => self.set_adds(SpecialToken::Bos, false),
            _ => {}
        }
    }

    pub(super) fn push_metadata(&self, entries: &mut Vec<(&'static str, VocabularyValue<'_>)>) {
        for (token, id) in &self.ids {
            entries.push((token.key(), VocabularyValue::Id(*id)));
        }
        for (token, value) in &self.adds {
            let key = match token {
                SpecialToken::Bos => "tokenizer.ggml.add_bos_token",
                SpecialToken::Eos => "tokenizer.ggml.add_eos_token",
                SpecialToken::Separator => "tokenizer.ggml.add_sep_token",
                _ => continue,
            };
            entries.push((key, VocabularyValue::Bool(*value)));
        }
        entries.push(("tokenizer.chat_template", VocabularyValue::ChatTemplate));
        for (token, id) in &self.late {
            entries.push((token.key(), VocabularyValue::Id(*id)));
        }
    }
}

/// Finds the tokens with a role: in `tokenizer_config.json`, then in `config.json`.
///
/// Which of them are put around a text is read from `tokenizer.json`'s post-processor, then from
/// the configuration. The order and the rules are those of llama.cpp's converter; an id for which
/// there is no token is left out.
pub(super) fn read(
    directory: &Path,
    config: &TokenizerConfig,
    json: Option<&TokenizerJson>,
    vocab_size: usize,
) -> Result<SpecialTokens, TokenizerError> {
    let mut found = Search {
        special: SpecialTokens::default(),
        // An empty file says as little as none.
        fields: (!config.fields().is_empty()).then(|| config.fields().clone()),
        n_roles: USUAL_ROLES,
    };
    if let Some(json) = json {
        found.post_processor(json)?;
    }
    let added = json.map_or(&[][..], |json| &json.added_tokens);
    let mut ids: HashMap<&str, u32> = HashMap::with_capacity(added.len());
    for token in added {
        ids.entry(&token.content).or_insert(token.id);
    }
    if let Some(fields) = &found.fields {
        for (name, role) in &ROLES[..found.n_roles] {
            let Some(role) = role else { continue };
            if let Some(value) = fields
                .get(&format!("add_{name}_token"))
                .and_then(Value::as_bool)
                && found.special.adds(*role).is_none()
            {
                found.special.adds.push((*role, value));
            }
            let text = fields.get(&format!("{name}_token"));
            let id = text
                .and_then(tokenizer_config::content)
                .and_then(|text| ids.get(text));
            if let Some(id) = id.filter(|id| (**id as usize) < vocab_size) {
                found.special.set_id(*role, *id);
            }
        }
    }
    found.model_config(directory, vocab_size)?;
    Ok(found.special)
}

struct Search {
    special: SpecialTokens,
    fields: Option<Map<String, Value>>,
    n_roles: usize,
}

impl Search {
    fn post_processor(&mut self, json: &TokenizerJson) -> Result<(), TokenizerError> {
        let fields = self.fields.as_mut();
        let token = |name: &str| fields.as_ref().and_then(|fields| fields.get(name)).cloned();
        let usable = |value: &Value| !value.is_null() && *value != json!("");
        let mut tokens = Tokens {
            bos: token("bos_token").filter(usable),
            eos: token("eos_token").filter(usable),
            sep: token("sep_token").filter(usable),
            cls: token("cls_token").filter(usable),
        };
        if let Some(fields) = fields {
            if tokens.bos.is_none() && tokens.cls.is_some() {
                tokens.bos.clone_from(&tokens.cls);
                put(fields, "bos_token", tokens.bos.as_ref());
            }
            if tokens.eos.is_none() && tokens.sep.is_some() {
                tokens.eos.clone_from(&tokens.sep);
                put(fields, "eos_token", tokens.eos.as_ref());
            }
        }
        let whole = &json.post_processor;
        let parts = match whole.get("processors") {
            Some(Value::Array(parts)) => parts.as_slice(),
            _ => std::slice::from_ref(whole),
        };
        for part in parts {
            match part.get("type").and_then(Value::as_str) {
                Some("ByteLevel") => {
                    for role in [SpecialToken::Bos, SpecialToken::Eos] {
                        if self.special.adds(role).is_none() {
                            self.special.set_adds(role, false);
                        }
                    }
                }
                Some("TemplateProcessing") => self.template(part, &mut tokens),
                Some(kind @ ("RobertaProcessing" | "BertProcessing")) => {
                    let found = format!("a {kind} post-processor");
                    return Err(TokenizerError::field(
                        &json.path,
                        "post_processor",
                        TokenizerProblem::Unsupported { found },
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads what is put before and after one text, and between two.
    fn template(&mut self, part: &Value, tokens: &mut Tokens) {
        let list = |name: &str| part.get(name).and_then(Value::as_array);
        let single = list("single").map_or(&[][..], Vec::as_slice);
        let (mut first, mut last) = (None, None);
        if let [start, .., end] = single {
            first = special_token(start);
            last = special_token(end);
            if let Some(first) = first {
                self.first(first, tokens);
            }
            if let Some(last) = last {
                self.last(last, tokens);
            }
        }
        let mut pair = list("pair").map_or(&[][..], Vec::as_slice);
        if let [start, rest @ ..] = pair
            && first.is_some()
            && special_token(start) == first
        {
            pair = rest;
        }
        if let [rest @ .., end] = pair
            && last.is_some()
            && special_token(end) == last
        {
            pair = rest;
        }
        // What stands between the two texts; at most the end of one and a separator count.
        let [start, between @ .., end] = pair else {
            return;
        };
        if sequence(start) != Some("A") || sequence(end) != Some("B") || between.is_empty() {
            return;
        }
        let separates = |part: &Value| {
            special_token(part).is_some_and(|text| {
                let text = Some(json!(text));
                text == tokens.sep || text == tokens.eos
            })
        };
        let adds = separates(&between[0]) && last.is_none()
            || between.len() == 2 && separates(&between[1]);
        self.special.set_adds(SpecialToken::Separator, adds);
        if adds
            && tokens.sep.is_none()
            && let Some(fields) = &mut self.fields
        {
            put(fields, "sep_token", tokens.eos.as_ref());
        }
    }

    fn first(&mut self, text: &str, tokens: &mut Tokens) {
        let text = Some(json!(text));
        match &mut self.fields {
            None => tokens.bos.clone_from(&text),
            Some(fields) if text != tokens.bos && text != tokens.cls => {
                if tokens.bos.is_none() {
                    tokens.bos.clone_from(&text);
                    put(fields, "bos_token", text.as_ref());
                }
                if tokens.cls.is_none() {
                    tokens.cls.clone_from(&text);
                    put(fields, "cls_token", text.as_ref());
                }
            }
            Some(_) => {}
        }
        let adds = text == tokens.bos || text == tokens.cls;
        self.special.set_adds(SpecialToken::Bos, adds);
    }

    fn last(&mut self, text: &str, tokens: &mut Tokens) {
        let text = Some(json!(text));
        match &mut self.fields {
            None => tokens.eos.clone_from(&text),
            Some(fields) if text != tokens.eos => {
                // What ended a sequence so far ends a turn, or a message.
                if self.n_roles < ROLES.len() {
                    let name = format!("{}_token", ROLES[self.n_roles].0);
                    put(fields, &name, tokens.eos.as_ref());
                    self.n_roles += 1;
                }
                tokens.eos.clone_from(&text);
                put(fields, "eos_token", text.as_ref());
            }
            Some(_) => {}
        }
        self.special.set_adds(SpecialToken::Eos, true);
    }

    /// Takes ids from `config.json` where there was no token; a list of ids is no id.
    fn model_config(&mut self, directory: &Path, vocab_size: usize) -> Result<(), TokenizerError> {
        let path = directory.join(model_config::FILE);
        if !path.is_file() {
            return Ok(());
        }
        let fields: Map<String, Value> = json_file::read(&path)?;
        for (name, role) in &ROLES[..self.n_roles] {
            let Some(role) = role else { continue };
            let name = format!("{name}_token_id");
            let outer = fields.get(&name).filter(|value| !value.is_null());
            let nested = || {
                fields
                    .get("text_config")
                    .and_then(|nested| nested.get(&name))
            };
            let Some(value) = outer.or_else(nested) else {
                continue;
            };
            // Old files say -1 where there is none.
            let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
            if let Some(id) = id.filter(|id| (*id as usize) < vocab_size) {
                self.special.set_id(*role, id);
            }
        }
        Ok(())
    }
}

/// Tokens of `tokenizer_config.json`, each a string or an object, while a template is read.
struct Tokens {
    bos: Option<Value>,
    eos: Option<Value>,
    sep: Option<Value>,
    cls: Option<Value>,
}

fn put(fields: &mut Map<String, Value>, name: &str, value: Option<&Value>) {
    fields.insert(name.to_owned(), value.cloned().unwrap_or(Value::Null));
}

fn special_token(part: &Value) -> Option<&str> {
    part.get("SpecialToken")?.get("id")?.as_str()
}

fn sequence(part: &Value) -> Option<&str> {
    part.get("Sequence")?.get("id")?.as_str()
}
