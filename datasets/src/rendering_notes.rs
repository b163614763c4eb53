use std::collections::{BTreeMap, BTreeSet};

use crate::model_tokenizer::ModelTokenizer;
use crate::rendering::Rendering;
use crate::report::TemplateSource;
use crate::warning::{DatasetWarning, RenderNote};

/// What is remembered of rendered conversations, beside their tokens.
#[derive(Default)]
pub(crate) struct RenderingNotes {
    /// Notes with how many examples have them, and the first.
    notes: BTreeMap<RenderNote, (usize, String)>,
    end_of_turn: BTreeSet<String>,
    template_names: BTreeSet<String>,
    lacks_beginning: bool,
}

impl RenderingNotes {
    pub(crate) fn add(&mut self, rendering: &mut Rendering, tokenizer: &ModelTokenizer) {
        let id = &rendering.example.id;
        for note in std::mem::take(&mut rendering.notes) {
            let entry = self.notes.entry(note).or_insert_with(|| (0, id.clone()));
            entry.0 += 1;
        }
        self.end_of_turn.append(&mut rendering.end_of_turn);
        if !self.template_names.contains(&rendering.template) {
            self.template_names.insert(rendering.template.clone());
        }
        let first = rendering.example.tokens.first();
        let beginning = tokenizer.beginning();
        self.lacks_beginning |= beginning.is_some_and(|beginning| first != Some(&beginning));
    }

    /// Returns what to know of the texts before training.
    pub(crate) fn warnings(&self, tokenizer: &ModelTokenizer) -> Vec<DatasetWarning> {
        let mut warnings = tokenizer.warnings().to_vec();
        let token_of = |id| tokenizer.tokenizer().id_to_token(id);
        if let Some(token) = tokenizer.beginning().and_then(token_of)
            && self.lacks_beginning
        {
            warnings.push(DatasetWarning::NoBeginningOfText { token });
        }
        let others = self.end_of_turn.iter();
        let others = others.filter(|token| !tokenizer.stops_at(token));
        warnings.extend(others.map(|token| DatasetWarning::NotAnEndOfSequence {
            token: token.clone(),
            eos_token: tokenizer.eos_token().map(str::to_owned),
        }));
        let notes = self.notes.iter();
        warnings.extend(
            notes.map(|(note, (examples, first))| DatasetWarning::Rendering {
                note: note.clone(),
                examples: *examples,
                first: first.clone(),
            }),
        );
        warnings
    }

    /// Returns where texts and labels come from.
    pub(crate) fn template(self, tokenizer: &ModelTokenizer) -> TemplateSource {
        let default = tokenizer.template(false).name();
        let has_tools = self.template_names.len() == 1 && !self.template_names.contains(default);
        TemplateSource {
            file: tokenizer.template_file().to_owned(),
            has_generation_blocks: tokenizer.template(has_tools).marks_generation(),
            names: self.template_names.into_iter().collect(),
            end_of_turn: self.end_of_turn.into_iter().collect(),
        }
    }
}
