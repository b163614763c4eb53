//! `transcripts.jsonl`: everything said, with its scores.

use std::collections::BTreeMap;

use serde::Serialize;
use shipworthy_schema::{
    Conversation, ConversationScore, CriterionScore, ModelName, Outcome, Persona, PersonaId,
    SimulatorFlag, Termination, Turn,
};

use crate::inert_text::inert_json;

/// Version of a line of `transcripts.jsonl`.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Line<'a> {
    format: u32,
    model: &'a ModelName,
    persona: &'a PersonaId,
    repeat: u32,
    levels: Option<&'a BTreeMap<String, String>>,
    turns: &'a [Turn],
    termination: Termination,
    detail: Option<&'a str>,
    overall: Option<&'a Outcome>,
    passed: Option<bool>,
    criteria: &'a [CriterionScore],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    simulator_flags: &'a [SimulatorFlag],
}

/// Returns `transcripts.jsonl`: one conversation a line, in id order, with the persona's levels,
/// why it ended, each criterion's score and reason, and what the simulated person did wrong.
pub fn transcripts_jsonl(
    personas: &[Persona],
    conversations: &[Conversation],
    scores: &[ConversationScore],
) -> String {
    let personas: BTreeMap<&PersonaId, &Persona> = personas.iter().map(|p| (&p.id, p)).collect();
    let scores: BTreeMap<_, &ConversationScore> =
        scores.iter().map(|s| (&s.conversation, s)).collect();
    conversations
        .iter()
        .map(|conversation| {
            let Conversation {
                id,
                turns,
                termination,
                detail,
            } = conversation;
            let score = scores.get(id);
            let line = Line {
                format: FORMAT,
                model: &id.model,
                persona: &id.persona,
                repeat: id.repeat,
                levels: personas.get(&id.persona).map(|p| &p.levels),
                turns,
                termination: *termination,
                detail: detail.as_deref(),
                overall: score.map(|s| &s.overall),
                passed: score.and_then(|s| s.passed),
                criteria: score.map_or(&[], |s| &s.criteria),
                simulator_flags: score.map_or(&[], |s| &s.simulator_flags),
            };
            let json = serde_json::to_string(&line)
                .expect("writing to memory cannot fail, and every map has text keys");
            inert_json(&json) + "\n"
        })
        .collect()
}
