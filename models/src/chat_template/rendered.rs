use std::ops::Range;

use super::error::ChatTemplateError;
use super::template::ChatTemplate;

/// A conversation as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedChat {
    text: String,
    template: String,
    generations: Generations,
}

/// What is known of what the assistant wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Generations {
    /// Ranges of bytes, in the order in which their blocks ended.
    Known(Vec<Range<usize>>),
    /// The template has no generation block.
    Unmarked,
    /// A block's text is elsewhere in the text, or not in it.
    Displaced,
}

/// What a generation block made, and the byte of the text at which it was reached.
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) text: String,
}

impl RenderedChat {
    /// Takes a template's text up to byte `end`.
    pub(super) fn new(
        template: &ChatTemplate,
        mut text: String,
        end: usize,
        pieces: &[Piece],
    ) -> Self {
        let stands = |piece: &Piece| {
            let after = text.get(piece.start..);
            after.is_some_and(|after| after.starts_with(&piece.text))
        };
        let generations = if !template.marks_generation() {
            Generations::Unmarked
        } else if pieces.iter().all(stands) {
            let ranges = pieces.iter().map(|piece| {
                let stop = piece.start + piece.text.len();
                piece.start.min(end)..stop.min(end)
            });
            Generations::Known(ranges.collect())
        } else {
            Generations::Displaced
        };
        text.truncate(end);
        Self {
            text,
            template: template.name().to_owned(),
            generations,
        }
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the text itself.
    pub fn into_text(self) -> String {
        self.text
    }

    /// Returns the ranges of bytes that generation blocks wrote, in order.
    ///
    /// Errors if the template has no such block, or if a block's text does not stand where the
    /// block does, because a macro or a capture kept it or another block holds it (transformers
    /// then marks other tokens than the block's).
    pub fn generations(&self) -> Result<&[Range<usize>], ChatTemplateError> {
        let name = || self.template.clone();
        match &self.generations {
            Generations::Known(ranges) => Ok(ranges),
            Generations::Unmarked => Err(ChatTemplateError::NoGenerationBlock { name: name() }),
            Generations::Displaced => Err(ChatTemplateError::DisplacedGeneration { name: name() }),
        }
    }

    /// Tells for each token whether the assistant wrote it, as transformers'
    /// `return_assistant_tokens_mask` does.
    ///
    /// `offsets` are the tokens' ranges of bytes in the text, as the tokenizer gives them. A token
    /// counts if it lies between the one with a range's first character and the one with its last,
    /// both included. Errors as [`generations`](Self::generations) does.
    pub fn assistant_mask(
        &self,
        offsets: &[(usize, usize)],
    ) -> Result<Vec<bool>, ChatTemplateError> {
        let mut mask = vec![false; offsets.len()];
        let token = |byte: usize| {
            offsets
                .iter()
                .position(|(start, end)| (*start..*end).contains(&byte))
        };
        for range in self.generations()? {
            let Some(first) = token(range.start) else {
                // As in transformers: the text was cut before this range.
                break;
            };
            let before = self.text[..range.end].char_indices().next_back();
            let last = before.and_then(|(at, _)| token(at));
            // As in transformers: a last character without a token means all that follow, and so
            // does the text's very first token, because 0 is no truth in Python.
            let end = match last {
                None | Some(0) => offsets.len(),
                Some(last) => last + 1,
            };
            if let Some(tokens) = mask.get_mut(first..end) {
                tokens.fill(true);
            }
        }
        Ok(mask)
    }
}
