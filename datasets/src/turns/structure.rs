use std::collections::BTreeSet;

use serde_json::Value;

use super::anchors::{Anchored, Words};
use crate::conversation::Conversation;
use crate::model_tokenizer::ModelTokenizer;
use crate::render_error::RenderError;
use crate::warning::RenderNote;

/// What a template makes of conversations of one shape.
#[derive(Debug)]
pub(super) struct Structure {
    /// The assistant's pieces in the order they are written in, by number.
    pub(super) order: Vec<usize>,
    pub(super) turns: Vec<Turn>,
    pub(super) notes: BTreeSet<RenderNote>,
}

/// One reply.
#[derive(Debug)]
pub(super) struct Turn {
    /// Its first piece, by number.
    pub(super) first: usize,
    /// Its last piece.
    pub(super) last: usize,
    /// The template's own text before it, from what is said before.
    pub(super) before: String,
    /// The template's own text after it, up to what is said next.
    pub(super) after: String,
    /// Bytes of `before` that belong to the reply.
    pub(super) lead: usize,
    /// Bytes of `after` that do, the token that ends the turn included.
    pub(super) tail: usize,
    /// That token.
    pub(super) end: String,
}

/// Words found in a text: where each begins and ends, and which it is.
type Found = Vec<(usize, usize, usize)>;

impl Structure {
    /// Learns from what the template writes of `all`.
    pub(super) fn learn(
        tokenizer: &ModelTokenizer,
        conversation: &Conversation,
        words: &Words,
        all: &Anchored,
    ) -> Result<Self, RenderError> {
        let count = all.anchors.len();
        let chat = tokenizer.write(&all.messages, conversation.tools(), false)?;
        let text = chat.text();
        let found = words.find(text, count);
        let mut learner = Learner {
            tokenizer,
            conversation,
            words,
            all,
            text,
            found,
            notes: BTreeSet::new(),
        };
        learner.check_order()?;
        let replies = all.messages.iter().enumerate();
        let replies: Vec<usize> = replies
            .filter(|(_, message)| message["role"] == "assistant")
            .map(|(index, _)| index)
            .collect();
        let mut turns = Vec::with_capacity(replies.len());
        let mut expected = None;
        // The last reply's end is the surest: no other message's beginning is behind it.
        for &index in replies.iter().rev() {
            let is_last = expected.is_none();
            let turn = learner.turn(index, is_last, expected.as_deref())?;
            expected.get_or_insert(turn.end.clone());
            turns.push(turn);
        }
        turns.reverse();
        let is_own = |idx: &usize| all.messages[all.anchors[*idx].message]["role"] == "assistant";
        Ok(Self {
            order: learner
                .found
                .iter()
                .map(|&(.., idx)| idx)
                .filter(is_own)
                .collect(),
            turns,
            notes: learner.notes,
        })
    }
}

struct Learner<'a> {
    tokenizer: &'a ModelTokenizer,
    conversation: &'a Conversation,
    words: &'a Words,
    all: &'a Anchored,
    text: &'a str,
    found: Found,
    notes: BTreeSet<RenderNote>,
}

impl Learner<'_> {
    /// Checks that every message that is written is so once and in one piece, and replies in their
    /// order; notes what is not written.
    fn check_order(&mut self) -> Result<(), RenderError> {
        let message = |idx: usize| self.all.anchors[idx].message;
        let is_reply = |index: usize| self.all.messages[index]["role"] == "assistant";
        let mut seen = BTreeSet::new();
        let mut done = BTreeSet::new();
        let mut current = None;
        let mut last_reply = None;
        for &(.., idx) in &self.found {
            let index = message(idx);
            let displaced = Err(RenderError::Displaced { index });
            if !seen.insert(idx) && is_reply(index) {
                return displaced;
            }
            if current == Some(index) {
                continue;
            }
            if !done.insert(index) && is_reply(index) {
                return displaced;
            }
            current = Some(index);
            if is_reply(index) {
                if last_reply.is_some_and(|last| last > index) {
                    return displaced;
                }
                last_reply = Some(index);
            }
        }
        for (idx, anchor) in self.all.anchors.iter().enumerate() {
            if seen.contains(&idx) {
                continue;
            }
            let index = anchor.message;
            if is_reply(index) && (!done.contains(&index) || anchor.is_call) {
                return Err(RenderError::NotWritten {
                    index,
                    reply: if anchor.is_call {
                        format!("call of {}", anchor.text)
                    } else {
                        self.said(index)
                    },
                });
            }
            self.notes.insert(if anchor.is_reasoning {
                RenderNote::ReasoningNotWritten
            } else {
                let role = self.all.messages[index]["role"].as_str();
                RenderNote::MessageNotWritten {
                    role: role.unwrap_or_default().to_owned(),
                }
            });
        }
        Ok(())
    }

    fn said(&self, index: usize) -> String {
        let content = self.conversation.messages()[index].get("content");
        content
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }

    fn turn(
        &mut self,
        index: usize,
        is_last: bool,
        expected: Option<&str>,
    ) -> Result<Turn, RenderError> {
        let own = |&(.., idx): &(usize, usize, usize)| self.all.anchors[idx].message == index;
        let (Some(first), Some(last)) = (
            self.found.iter().position(own),
            self.found.iter().rposition(own),
        ) else {
            // Without a word of its own, an empty reply beside a call without a name.
            return Err(RenderError::NotWritten {
                index,
                reply: self.said(index),
            });
        };
        let begins = match first.checked_sub(1) {
            Some(previous) => self.found[previous].1,
            None => 0,
        };
        let text = self.text;
        let before = &text[begins..self.found[first].0];
        let ends = self.found.get(last + 1).map_or(text.len(), |next| next.0);
        let after = &text[self.found[last].1..ends];
        let lead = self.lead(index, first, before, is_last)?;
        let (tail, end) = self.end(index, after, expected)?;
        Ok(Turn {
            first: self.found[first].2,
            last: self.found[last].2,
            before: before.to_owned(),
            after: after.to_owned(),
            lead,
            tail,
            end,
        })
    }

    /// Returns how many bytes of `before` the model writes itself: what follows the prompt.
    fn lead(
        &mut self,
        index: usize,
        first: usize,
        before: &str,
        is_last: bool,
    ) -> Result<usize, RenderError> {
        let tools = self.conversation.tools();
        let chat = self
            .tokenizer
            .write(&self.all.messages[..index], tools, true)?;
        let prompt = chat.text();
        let in_prompt = self.words.find(prompt, self.all.anchors.len());
        let previous = first.checked_sub(1).map(|previous| self.found[previous].2);
        let asked = &prompt[in_prompt.last().map_or(0, |word| word.1)..];
        let other = || RenderError::OtherPrompt {
            index,
            written: before.to_owned(),
            prompt: asked.to_owned(),
        };
        if in_prompt.last().map(|word| word.2) != previous {
            return Err(other());
        }
        let lead = if let Some(lead) = before.strip_prefix(asked) {
            let calls = self.all.messages[index].get("tool_calls");
            if calls.is_none() && self.tokenizer.special_texts().first_in(lead).is_some() {
                let learnt = lead.to_owned();
                self.notes.insert(RenderNote::ShorterPrompt { learnt });
            }
            lead.len()
        } else if let Some(rest) = asked.strip_prefix(before) {
            let rest = rest.to_owned();
            self.notes.insert(RenderNote::LongerPrompt { rest });
            0
        } else {
            return Err(other());
        };
        let begins = self.found[first].0 - lead;
        let is_longer = asked.len() > before.len();
        if is_last && !is_longer && self.text[..begins] != *prompt {
            self.notes.insert(RenderNote::OtherPrompt);
        }
        Ok(lead)
    }

    /// Returns how many bytes of `after` end the turn, and with which token.
    fn end(
        &self,
        index: usize,
        after: &str,
        expected: Option<&str>,
    ) -> Result<(usize, String), RenderError> {
        let special = self.tokenizer.special_texts();
        let calls = self.all.messages[index].get("tool_calls");
        let calls_text = calls.map(Value::to_string).unwrap_or_default();
        if let Some((_, token, _)) = special.first_in(&calls_text) {
            let token = token.to_owned();
            return Err(RenderError::TokenInCall { index, token });
        }
        let Some((at, token, _)) = special.first_in(after) else {
            return Err(RenderError::NoEndOfTurn {
                index,
                after: after.to_owned(),
            });
        };
        // A call may end with a token of its own.
        if let Some(expected) = expected.filter(|&expected| expected != token && calls.is_none()) {
            return Err(RenderError::OtherEndOfTurn {
                index,
                found: token.to_owned(),
                expected: expected.to_owned(),
            });
        }
        Ok((at + token.len(), token.to_owned()))
    }
}
