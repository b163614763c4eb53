//! Playing a persona: by rules alone, or by prompting a language model.
//!
//! Both are pure: they see the persona and what was said so far, and never the rubric.

mod history;
mod numbers;
mod reply;
mod style;

pub mod audit;
pub mod llm;
pub mod rule_based;

use shipworthy_schema::{Persona, Termination};

/// What the person says next, and whether the conversation ends with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserTurn {
    /// What is said; may be empty where the conversation ends.
    pub text: String,
    /// `UserSatisfied` or `UserGaveUp` where it ends, the text being the person's last words.
    pub end: Option<Termination>,
}

/// Returns the person's first words in their `repeat`th conversation, from 1.
///
/// They depend on nothing else, so that every model and both simulators begin alike.
pub fn opening(persona: &Persona, repeat: u32) -> String {
    let openings = &persona.situation.openings;
    let chosen = repeat.saturating_sub(1) as usize % openings.len().max(1);
    let opening = openings.get(chosen).unwrap_or(&persona.situation.summary);
    let text = format!("{opening} {}", persona.background);
    style::styled(persona, text.trim())
}
