//! Where replies stand in what a template without generation blocks writes.
//!
//! What is said is replaced by words that occur nowhere else, and the template run again. The text
//! around the words is the template's own, so that nothing anybody says is taken for it: a reply
//! begins where the prompt for it ends, and ends with the first special token behind it. The text
//! itself must be the template's pieces with what is said in between, byte for byte; else it is an
//! error, and never a guess.

mod anchors;
mod structure;

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::conversation::Conversation;
use crate::model_tokenizer::ModelTokenizer;
use crate::render_error::RenderError;
use crate::warning::RenderNote;
use anchors::{Words, anchored};
use structure::Structure;

/// Structures kept at most; conversations with as many turns and without calls share one.
const KEPT: usize = 512;

/// What templates make of conversations of the same shape.
#[derive(Default)]
pub(crate) struct StructureCache(Mutex<HashMap<String, Arc<Structure>>>);

/// Where replies stand, each with the token that ends it.
pub(crate) struct Turns {
    /// Ranges of bytes, in order.
    pub(crate) replies: Vec<Range<usize>>,
    /// The token that ends each.
    pub(crate) ends: Vec<String>,
    /// What is odd about the text.
    pub(crate) notes: BTreeSet<RenderNote>,
}

/// Finds the replies in `written`, the conversation as the template writes it.
pub(crate) fn find(
    tokenizer: &ModelTokenizer,
    conversation: &Conversation,
    written: &str,
) -> Result<Turns, RenderError> {
    let words = Words::absent_from(conversation, written);
    let structure = structure_of(tokenizer, conversation, &words)?;
    let own = anchored(conversation, &words, true)?;
    let chat = tokenizer.write(&own.messages, conversation.tools(), false)?;
    let text = chat.text();
    let found = words.find(text, own.anchors.len());
    if found
        .iter()
        .map(|&(.., idx)| idx)
        .ne(structure.order.iter().copied())
    {
        let near = found.first().map_or(text, |&(start, ..)| &text[start..]);
        return Err(RenderError::Rewritten {
            near: near.to_owned(),
        });
    }
    // The template's pieces and what is said must be the text.
    let mut places = HashMap::new();
    let mut at = 0;
    let mut follow = |piece: &str| {
        let start = at;
        if written
            .get(at..)
            .is_some_and(|rest| rest.starts_with(piece))
        {
            at += piece.len();
            return Ok(start..at);
        }
        let near = written.get(at..).unwrap_or_default();
        let same = near
            .bytes()
            .zip(piece.bytes())
            .take_while(|(one, other)| one == other);
        let mut same = at + same.count();
        while !written.is_char_boundary(same) {
            same -= 1;
        }
        Err(RenderError::Rewritten {
            near: written[same..].to_owned(),
        })
    };
    let mut joints = Vec::with_capacity(found.len() + 1);
    let mut from = 0;
    for &(start, end, idx) in &found {
        joints.push(follow(&text[from..start])?);
        places.insert(idx, follow(&own.anchors[idx].text)?);
        from = end;
    }
    joints.push(follow(&text[from..])?);
    if at != written.len() {
        return Err(RenderError::Rewritten {
            near: written[at..].to_owned(),
        });
    }
    let position: HashMap<usize, usize> = structure.order.iter().copied().zip(0..).collect();
    let mut replies = Vec::with_capacity(structure.turns.len());
    for turn in &structure.turns {
        let before = &written[joints[position[&turn.first]].clone()];
        let after = &written[joints[position[&turn.last] + 1].clone()];
        if !before.ends_with(&turn.before) || !after.starts_with(&turn.after) {
            return Err(RenderError::Rewritten {
                near: before.to_owned(),
            });
        }
        replies.push(places[&turn.first].start - turn.lead..places[&turn.last].end + turn.tail);
    }
    Ok(Turns {
        replies,
        ends: structure
            .turns
            .iter()
            .map(|turn| turn.end.clone())
            .collect(),
        notes: structure.notes.clone(),
    })
}

fn structure_of(
    tokenizer: &ModelTokenizer,
    conversation: &Conversation,
    words: &Words,
) -> Result<Arc<Structure>, RenderError> {
    let all = anchored(conversation, words, false)?;
    let tools = conversation.tools().map(Value::from);
    let key = Value::from_iter([Value::from(all.messages.as_slice()), tools.into()]).to_string();
    let cache = &tokenizer.structures().0;
    let lock = || cache.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(structure) = lock().get(&key) {
        return Ok(Arc::clone(structure));
    }
    let structure = Arc::new(Structure::learn(tokenizer, conversation, words, &all)?);
    let mut kept = lock();
    // Calls are part of the shape, and may be long and each another.
    if kept.len() < KEPT && key.len() < 1 << 16 {
        kept.insert(key, Arc::clone(&structure));
    }
    Ok(structure)
}
