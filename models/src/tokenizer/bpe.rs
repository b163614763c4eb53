use std::collections::{HashMap, HashSet};

use super::added_tokens::{ADDED_SCORE, added, unused};
use super::definition::Definition;
use super::error::{TokenizerError, TokenizerProblem, shortened};
use super::merge_scores::{Scores, is_byte, unlisted_merges};
use super::tokenizer_config::TokenizerConfig;
use super::tokenizer_json::{Merge, TokenizerJson};
use super::vocabulary::{Token, TokenKind, Tokens, VocabularyModel};

/// Builds a vocabulary from `tokenizer.json` alone.
pub(super) fn read(
    json: &TokenizerJson,
    definition: &Definition,
    config: &TokenizerConfig,
    vocab_size: usize,
) -> Result<Tokens, TokenizerError> {
    check_merges(json)?;
    let mut table = Table::new(json, vocab_size)?;
    table.add(config)?;
    let scored = matches!(definition, Definition::SentencePiece { .. });
    let (scores, unlisted_merges) = if scored {
        (Scores::new(json), unlisted_merges(json))
    } else {
        (Scores::default(), 0)
    };
    let mut n_unmerged = 0;
    let tokens = table.slots.into_iter().enumerate().map(|(id, slot)| {
        let Some(slot) = slot else {
            return unused(id, scored);
        };
        if let Some(is_special) = slot.added {
            let (kind, text) = added(&slot.text, is_special);
            return Token {
                text,
                kind,
                score: scored.then_some(ADDED_SCORE),
            };
        }
        let is_byte = scored && is_byte(&slot.text);
        let score = scored.then(|| {
            if is_byte {
                return 0.0;
            }
            scores.of(&slot.text).unwrap_or_else(|| {
                n_unmerged += 1;
                -((scores.len() + n_unmerged - 1) as f32)
            })
        });
        let kind = if is_byte {
            TokenKind::Byte
        } else {
            TokenKind::Normal
        };
        Token {
            text: slot.text,
            kind,
            score,
        }
    });
    let tokens = tokens.collect();
    Ok(match *definition {
        Definition::ByteLevel { pre } => Tokens {
            model: VocabularyModel::Gpt2,
            pre,
            list: tokens,
            merges: json.model.merges.0.iter().map(escaped).collect(),
            unlisted_merges,
            space_prefix: None,
        },
        Definition::SentencePiece { space_prefix } => Tokens {
            model: VocabularyModel::Llama,
            pre: "default",
            list: tokens,
            merges: Vec::new(),
            unlisted_merges,
            // llama.cpp puts one there unless told otherwise.
            space_prefix: (!space_prefix).then_some(false),
        },
    })
}

/// Refuses a merge of, or into, what is no token.
fn check_merges(json: &TokenizerJson) -> Result<(), TokenizerError> {
    let vocab = &json.model.vocab.0;
    for (index, merge) in json.model.merges.0.iter().enumerate() {
        let (left, right) = merge.pair();
        let missing = [left, right, merge.joined()]
            .into_iter()
            .find(|text| !vocab.contains_key(*text));
        if let Some(token) = missing {
            let token = shortened(token);
            return Err(TokenizerError::field(
                &json.path,
                format!("model.merges[{index}]"),
                TokenizerProblem::UnknownToken { token },
            ));
        }
    }
    Ok(())
}

/// Writes a merge as GGUF does: a space between the two, so that a space in one needs another
/// spelling, which is the byte-level one.
fn escaped(merge: &Merge) -> String {
    let (left, right) = merge.pair();
    format!("{} {}", left.replace(' ', "Ġ"), right.replace(' ', "Ġ"))
}

struct Slot {
    text: String,
    /// Whether it is special, if it was added.
    added: Option<bool>,
}

/// Tokens by id, and ids by token.
struct Table<'a> {
    json: &'a TokenizerJson,
    slots: Vec<Option<Slot>>,
    added: HashMap<String, u32>,
    /// Whether added tokens without a row in the embedding are left out, as they are where
    /// `tokenizer.model` is read.
    leaves_out: bool,
}

impl<'a> Table<'a> {
    fn new(json: &'a TokenizerJson, vocab_size: usize) -> Result<Self, TokenizerError> {
        let mut table = Self {
            json,
            slots: std::iter::repeat_with(|| None).take(vocab_size).collect(),
            added: HashMap::new(),
            leaves_out: json.model.byte_fallback == Some(true),
        };
        let mut vocab: Vec<(&String, u32)> = json
            .model
            .vocab
            .0
            .iter()
            .map(|(text, id)| (text, *id))
            .collect();
        // So that the same file always has the same error.
        vocab.sort_unstable_by_key(|(text, id)| (*id, *text));
        if vocab.is_empty() {
            return Err(table.wrong("model.vocab", TokenizerProblem::Empty));
        }
        for (text, id) in vocab {
            table.put(text, id, None, "model.vocab")?;
        }
        Ok(table)
    }

    fn wrong(&self, field: &str, problem: TokenizerProblem) -> TokenizerError {
        TokenizerError::field(&self.json.path, field, problem)
    }

    /// Adds the tokens of `tokenizer.json`, then those the configuration lists and names.
    fn add(&mut self, config: &TokenizerConfig) -> Result<(), TokenizerError> {
        for (index, token) in self.json.added_tokens.iter().enumerate() {
            let field = format!("added_tokens[{index}]");
            self.add_one(&token.content, token.id, token.special, &field)?;
        }
        let in_config = |error| match error {
            TokenizerError::Field { field, problem, .. } => {
                TokenizerError::field(config.path(), field, problem)
            }
            other => other,
        };
        for (id, token) in config.added_tokens()?.unwrap_or_default() {
            let field = format!("added_tokens_decoder.{id}");
            // The library keeps the id it knows.
            let id = self.id(&token.content).unwrap_or(id);
            self.add_one(&token.content, id, token.special, &field)
                .map_err(in_config)?;
        }
        let named = config.special_tokens();
        // A new token gets the id after the last, as transformers gives it one.
        let last = self.slots.iter().rposition(Option::is_some);
        let mut next = (0..)
            .nth(last.map_or(0, |last| last + 1))
            .unwrap_or(u32::MAX);
        for text in &named {
            if self.added.contains_key(*text) {
                continue;
            }
            let known = self.id(text);
            let id = known.unwrap_or(next);
            self.add_one(text, id, true, "special tokens")
                .map_err(in_config)?;
            if known.is_none() {
                next += 1;
            }
        }
        // The converter takes the named ones for special here, whatever else is said of them.
        if self.json.model.byte_fallback == Some(true) {
            let named: HashSet<&str> = named.into_iter().collect();
            for slot in self.slots.iter_mut().flatten() {
                if slot.added.is_some() && named.contains(slot.text.as_str()) {
                    slot.added = Some(true);
                }
            }
        }
        Ok(())
    }

    fn id(&self, text: &str) -> Option<u32> {
        let added = self.added.get(text);
        added.or_else(|| self.json.model.vocab.0.get(text)).copied()
    }

    fn add_one(
        &mut self,
        text: &str,
        id: u32,
        is_special: bool,
        field: &str,
    ) -> Result<(), TokenizerError> {
        if let Some(first) = self.id(text).filter(|first| *first != id) {
            let problem = TokenizerProblem::TokenTwice {
                token: shortened(text),
                first,
                second: id,
            };
            return Err(self.wrong(field, problem));
        }
        self.put(text, id, Some(is_special), field)?;
        self.added.insert(text.to_owned(), id);
        Ok(())
    }

    fn put(
        &mut self,
        text: &str,
        id: u32,
        added: Option<bool>,
        field: &str,
    ) -> Result<(), TokenizerError> {
        let vocab_size = self.slots.len();
        let problem = match self.slots.get_mut(id as usize) {
            // Gemma 3's text models have a token for images, and no row for it.
            None if added.is_some() && self.leaves_out => return Ok(()),
            None => TokenizerProblem::OutOfRange {
                token: shortened(text),
                id: id.into(),
                vocab_size,
            },
            Some(Some(slot)) if slot.text != text => TokenizerProblem::IdTwice {
                id,
                first: shortened(&slot.text),
                second: shortened(text),
            },
            Some(slot) => {
                *slot = Some(Slot {
                    text: text.to_owned(),
                    added,
                });
                return Ok(());
            }
        };
        Err(self.wrong(field, problem))
    }
}
