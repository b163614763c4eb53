use serde::Serialize;

use crate::model_tokenizer::ModelTokenizer;
use crate::rendering::Rendering;
use crate::rendering_notes::RenderingNotes;
use crate::report::{TemplateSource, TokenCounts};
use crate::warning::DatasetWarning;

/// How long examples are in tokens, and what of them is learnt.
#[derive(Debug, Serialize)]
pub struct TokenReport {
    /// Examples: one for a conversation, two for a pair of replies.
    pub examples: usize,
    /// Their lengths.
    pub lengths: TokenCounts,
    /// Their tokens that carry a label.
    pub labelled: usize,
    /// The share of their tokens that carries a label, between 0 and 1.
    pub labelled_share: f64,
    /// What a length of `max_length` loses, if that was asked.
    pub cut: Option<Cut>,
    /// Where texts and labels come from.
    pub template: TemplateSource,
}

/// What would be lost of examples that are too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// The most tokens allowed.
    pub max_length: usize,
    /// Examples that have more.
    pub examples: usize,
    /// Their tokens behind it.
    pub tokens: usize,
    /// Those of them that carry a label.
    pub labelled: usize,
    /// Examples that would have no label left.
    pub unlabelled_examples: usize,
}

/// Counts tokens of examples one after another.
#[derive(Default)]
pub(super) struct Lengths {
    tokens: Vec<u32>,
    labelled: usize,
    cut: Cut,
    notes: RenderingNotes,
}

impl Lengths {
    pub(super) fn add(
        &mut self,
        rendering: &mut Rendering,
        tokenizer: &ModelTokenizer,
        max_length: Option<usize>,
    ) {
        let length = rendering.example.tokens.len();
        let labelled = rendering.example.labelled_count();
        self.labelled += labelled;
        self.tokens.push(u32::try_from(length).unwrap_or(u32::MAX));
        if let Some(kept) = max_length.filter(|&kept| length > kept) {
            rendering.example.labelled.truncate(kept);
            let left = rendering.example.labelled_count();
            self.cut.examples += 1;
            self.cut.tokens += length - kept;
            self.cut.labelled += labelled - left;
            self.cut.unlabelled_examples += usize::from(left == 0);
        }
        self.notes.add(rendering, tokenizer);
    }

    pub(super) fn finish(
        self,
        tokenizer: &ModelTokenizer,
        max_length: Option<usize>,
    ) -> (Option<TokenReport>, Vec<DatasetWarning>) {
        let warnings = self.notes.warnings(tokenizer);
        let examples = self.tokens.len();
        let lengths = TokenCounts::of(self.tokens.into_iter().map(|length| length as usize));
        let report = TokenReport {
            examples,
            labelled: self.labelled,
            labelled_share: self.labelled as f64 / lengths.total.max(1) as f64,
            lengths,
            cut: max_length.map(|max_length| Cut {
                max_length,
                ..self.cut
            }),
            template: self.notes.template(tokenizer),
        };
        (Some(report), warnings)
    }
}
