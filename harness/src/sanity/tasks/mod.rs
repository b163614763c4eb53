//! Task files: what a model should still be able to do after tuning.

mod error;
mod item_fields;
mod jinja;
mod json_lines;
mod lm_eval;
mod lm_eval_fields;
mod prepared;
mod python_literal;

use std::path::Path;

pub use error::{TaskError, TaskProblem};
pub(super) use prepared::{Prepared, PreparedTask};

/// A task: questions that are put to both arms.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Task {
    /// Its name.
    pub(super) name: String,
    /// What its score counts.
    pub(super) metrics: Vec<Metric>,
    /// The questions.
    pub(super) questions: Questions,
}

/// The questions of a task.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Questions {
    /// The likeliest of several continuations is the answer.
    Choice(Vec<ChoiceItem>),
    /// The answer is what the model writes.
    Generation(Vec<GenerationItem>, GenerationRules),
}

/// A question with given answers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ChoiceItem {
    /// Where it is: `arc.jsonl:12`.
    pub(super) id: String,
    /// What comes before the answers.
    pub(super) context: String,
    /// Put between the context and each answer.
    pub(super) delimiter: String,
    /// The answers.
    pub(super) choices: Vec<String>,
    /// Which of them is right.
    pub(super) gold: usize,
}

/// A question that the model answers in its own words.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GenerationItem {
    /// Where it is: `names.jsonl:12`.
    pub(super) id: String,
    /// What the model goes on from.
    pub(super) prompt: String,
    /// The answers, each of which is right.
    pub(super) golds: Vec<String>,
}

/// How answers in a model's own words are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GenerationRules {
    /// Texts that end an answer.
    pub(super) until: Vec<String>,
    /// Tokens an answer has at most.
    pub(super) max_tokens: usize,
    /// What does not count when it is compared.
    pub(super) ignored: Ignored,
}

/// What does not count when texts are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
pub(super) struct Ignored {
    pub(super) outer_blanks: bool,
    pub(super) case: bool,
    pub(super) punctuation: bool,
    pub(super) numbers: bool,
}

/// What a task's score counts; the first of a task's is what the rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    /// The right answer is the likeliest.
    Acc,
    /// The right answer is the likeliest for its length in characters.
    AccNorm,
    /// The right answer is the likeliest for its length in bytes of UTF-8.
    AccBytes,
    /// What the model writes is the right answer.
    ExactMatch,
}

impl Metric {
    /// Returns its name, as lm-eval has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Acc => "acc",
            Self::AccNorm => "acc_norm",
            Self::AccBytes => "acc_bytes",
            Self::ExactMatch => "exact_match",
        }
    }
}

impl Questions {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Choice(items) => items.len(),
            Self::Generation(items, _) => items.len(),
        }
    }
}

impl Ignored {
    /// Tells whether `said` is `gold`, as lm-eval's `exact_match` compares.
    pub(super) fn match_exactly(self, said: &str, gold: &str) -> bool {
        self.kept(said) == self.kept(gold)
    }

    fn kept(self, text: &str) -> String {
        let text = if self.outer_blanks { text.trim() } else { text };
        let lower;
        let text = if self.case {
            lower = text.to_lowercase();
            &lower
        } else {
            text
        };
        let is_left_out = |c: &char| {
            self.punctuation && c.is_ascii_punctuation() || self.numbers && c.is_ascii_digit()
        };
        text.chars().filter(|c| !is_left_out(c)).collect()
    }
}

/// Reads a task: `.yaml` and `.yml` as lm-eval does, all else as JSON Lines of ours.
///
/// Errors with the field or row that is wrong, or with what of lm-eval is not supported.
pub(super) fn read(path: &Path) -> Result<Task, TaskError> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension {
        Some("yaml" | "yml") => lm_eval::read(path),
        _ => json_lines::read(path),
    }
}

/// Looks whether the file at `path` is a task.
pub fn check_task(path: &Path) -> Result<(), TaskError> {
    read(path).map(drop)
}

/// Returns a file's name without its ending.
fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or(path.as_os_str());
    stem.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_as_told() {
        let plain = Ignored::default();
        assert!(plain.match_exactly("Paris", "Paris"));
        assert!(!plain.match_exactly(" Paris", "Paris"));
        let all = Ignored {
            outer_blanks: true,
            case: true,
            punctuation: true,
            numbers: true,
        };
        assert!(all.match_exactly(" PARIS, 12th.\n", "Paris th"));
        assert!(!all.match_exactly("Paris", "Rome"));
    }
}
