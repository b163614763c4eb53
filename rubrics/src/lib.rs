//! What counts as good: criteria, deterministic checks, judge questions and scores.
//!
//! A [`Rubric`] is read from YAML. For a conversation it says what to ask a judge
//! ([`Rubric::questions`]), reads what the judge replied ([`read_answer`]) and puts answers and
//! checks together into a score ([`Rubric::score`]). Of two conversations it asks which one a judge
//! prefers ([`Rubric::pair_questions`]). Nothing here calls a model.

mod category;
mod condition;
mod criterion;
mod library;
mod rubric;
mod scale;

mod bounds;
mod check;
mod pattern;
mod phrase;
mod repetition;
mod scope;
mod text;

mod answer;
mod json;
mod pair_answer;
mod pair_question;
mod question;
mod transcript;

mod aggregation;
mod grading;
mod judging;
mod score;

#[cfg(test)]
mod sample;

pub use answer::{AnswerError, JudgeAnswer, Judgement, read_answer};
pub use bounds::{Bounds, Share, ShareBounds, WordCount};
pub use category::Category;
pub use check::Check;
pub use condition::Condition;
pub use criterion::{Criterion, Method};
pub use judging::{JudgeAnswers, JudgeResult, JudgeResults};
pub use library::UnknownRubric;
pub use pair_answer::{PairAnswerError, preference, read_pair_answer};
pub use pair_question::{PairQuestion, PairQuestions};
pub use pattern::Pattern;
pub use phrase::{Phrase, Phrases};
pub use question::JudgeQuestion;
pub use rubric::{NothingToScore, Rubric};
pub use scale::{LevelTexts, Points, Scale, Weight};
pub use scope::Scope;
