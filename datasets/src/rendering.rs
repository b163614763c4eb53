use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Value;

use crate::conversation::Conversation;
use crate::example::TokenisedExample;
use crate::mask;
use crate::model_tokenizer::ModelTokenizer;
use crate::preview::MaskPreview;
use crate::render_error::RenderError;
use crate::turns;
use crate::warning::RenderNote;
use crate::word_tokens::Tokens;

/// A conversation as its model reads it: the text, its tokens, and which of them are learnt.
#[derive(Clone, Debug)]
pub struct Rendering {
    /// The tokens and their labels.
    pub example: TokenisedExample,
    /// The text that the chat template writes.
    pub text: String,
    /// The tokens' ranges of bytes in the text.
    pub offsets: Vec<(usize, usize)>,
    /// The tokens that end the assistant's turns, each once, in order of their texts.
    pub end_of_turn: BTreeSet<String>,
    /// The name of the template that wrote it.
    pub template: String,
    /// What is odd about it.
    pub notes: BTreeSet<RenderNote>,
}

/// A reply's end: where its last token is, and which.
struct End {
    place: Range<usize>,
    token: String,
}

/// A turn's end is not one token, or carries no label.
struct EndUnread;

/// A generation block whose text ends a turn.
struct Block {
    place: Range<usize>,
    end: End,
    /// Whether the end is behind the block.
    is_outside: bool,
}

impl ModelTokenizer {
    /// Writes a conversation with the model's own chat template, and finds what is learnt of it: what
    /// the assistant says, with the token that ends its turn and without the space after that.
    ///
    /// Where the template has generation blocks, the labels are transformers'
    /// `return_assistant_tokens_mask`; a token that ends a turn right behind a block is added. Else the
    /// replies are found in the text (see the module `turns`). Special tokens are those the template
    /// writes: the tokenizer adds none.
    pub fn render(&self, conversation: &Conversation) -> Result<Rendering, RenderError> {
        let template = self.template(conversation.tools().is_some());
        let chat = self.write(conversation.messages(), conversation.tools(), false)?;
        let tokens = self.encode(chat.text())?;
        let offsets = &tokens.offsets[..];
        let mut notes = BTreeSet::new();
        let mut ends = Vec::new();
        let mut labelled;
        if template.marks_generation() {
            labelled = chat.assistant_mask(offsets)?;
            for block in self.ends_of_blocks(chat.text(), chat.generations()?)? {
                if block.is_outside {
                    mask::mark(&mut labelled, offsets, &block.end.place);
                    let token = block.end.token.clone();
                    notes.insert(RenderNote::EndOfTurnOutsideBlock { token });
                } else if self.check_end(&block.end, &labelled, &tokens).is_err() {
                    // transformers gives up at the first block whose first character is in no token,
                    // such as a space that the tokenizer leaves out of its tokens' offsets.
                    mask::mark(&mut labelled, offsets, &block.place);
                }
                ends.push(block.end);
            }
        } else {
            let found = turns::find(self, conversation, chat.text())?;
            labelled = vec![false; offsets.len()];
            for (reply, token) in found.replies.into_iter().zip(found.ends) {
                mask::mark(&mut labelled, offsets, &reply);
                let place = reply.end - token.len()..reply.end;
                ends.push(End { place, token });
            }
            notes = found.notes;
        }
        let example = TokenisedExample {
            id: conversation.id().to_owned(),
            tokens: tokens.ids.clone(),
            labelled,
        };
        for end in &ends {
            let checked = self.check_end(end, &example.labelled, &tokens);
            checked.map_err(|EndUnread| RenderError::SplitEndOfTurn {
                token: end.token.clone(),
                text: last_characters(&chat.text()[..end.place.end], 60).to_owned(),
            })?;
        }
        if example.labelled_count() == 0 {
            let text = chat.into_text();
            return Err(RenderError::NoLabel { text });
        }
        self.note_special_texts(conversation, &mut notes);
        Ok(Rendering {
            example,
            offsets: tokens.offsets,
            end_of_turn: ends.into_iter().map(|end| end.token).collect(),
            template: template.name().to_owned(),
            text: chat.into_text(),
            notes,
        })
    }

    /// Finds the token that ends each turn, in generation blocks or right behind them.
    ///
    /// The last block must have one. A block before it need not, as one turn may have several, of
    /// which only the last ends it.
    fn ends_of_blocks(
        &self,
        text: &str,
        blocks: &[Range<usize>],
    ) -> Result<Vec<Block>, RenderError> {
        let special = self.special_texts();
        let ending = |place: &Range<usize>| {
            let inside = text[place.clone()].trim_end();
            let (start, token, is_outside) = if let Some((token, _)) = special.at_end(inside) {
                (place.start + inside.len() - token.len(), token, false)
            } else {
                let after = text[place.end..].trim_start();
                (text.len() - after.len(), special.at_start(after)?.0, true)
            };
            let end = End {
                place: start..start + token.len(),
                token: token.to_owned(),
            };
            Some(Block {
                place: place.clone(),
                end,
                is_outside,
            })
        };
        let blocks = blocks.iter().filter(|block| !block.is_empty());
        let Some(last) = blocks.clone().max_by_key(|block| block.end) else {
            return Ok(Vec::new());
        };
        let Some(ends_with) = ending(last).map(|block| block.end.token) else {
            return Err(RenderError::NoEndInBlock {
                inside: last_characters(&text[last.clone()], 30).to_owned(),
                after: text[last.end..].to_owned(),
            });
        };
        // A token behind a block ends the turn if it ends the last one, too; else it may be the
        // beginning of what comes next.
        let is_end = |block: &Block| !block.is_outside || block.end.token == ends_with;
        Ok(blocks.filter_map(ending).filter(is_end).collect())
    }

    /// Checks that the tokenizer reads the end of a turn as one token, and that it carries a label.
    fn check_end(&self, end: &End, labelled: &[bool], tokens: &Tokens) -> Result<(), EndUnread> {
        let id = self.special_texts().at_start(&end.token).map(|(_, id)| id);
        let tokens = tokens.ids.iter().zip(&tokens.offsets);
        let is_there = tokens.zip(labelled).any(|((&token, &(start, stop)), &is)| {
            is && Some(token) == id && start <= end.place.start && stop >= end.place.end
        });
        if is_there { Ok(()) } else { Err(EndUnread) }
    }

    fn note_special_texts(&self, conversation: &Conversation, notes: &mut BTreeSet<RenderNote>) {
        for message in conversation.messages() {
            let said = message.get("content").and_then(Value::as_str);
            if let Some((_, token, _)) = said.and_then(|said| self.special_texts().first_in(said)) {
                let token = token.to_owned();
                notes.insert(RenderNote::SpecialTokenInText { token });
            }
        }
    }
}

impl Rendering {
    /// Shows what is learnt of it.
    pub fn preview(&self) -> MaskPreview {
        MaskPreview::new(&self.example, &self.text, &self.offsets)
    }
}

fn last_characters(text: &str, count: usize) -> &str {
    let start = text.char_indices().rev().nth(count.saturating_sub(1));
    start.map_or(text, |(at, _)| &text[at..])
}
