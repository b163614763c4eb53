//! `pairs.jsonl`: what judges said of each pair of whole conversations.

use serde::Serialize;
use shipworthy_schema::{JudgedPair, ModelName, PairJudgement, PersonaId, Preference};

use crate::inert_text::inert_json;

/// Version of a line of `pairs.jsonl`.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Line<'a> {
    format: u32,
    model: &'a ModelName,
    persona: &'a PersonaId,
    repeat: u32,
    preference: Option<Preference>,
    missing: Option<&'a str>,
    judgements: &'a [PairJudgement],
}

/// Returns `pairs.jsonl`: one pair a line, in the order of the candidates' conversations, with what
/// more judges prefer, or why there is no preference, and every judge's answers with their reasons.
pub fn pairs_jsonl(pairs: &[JudgedPair]) -> String {
    let line = |pair: &JudgedPair| {
        let line = Line {
            format: FORMAT,
            model: &pair.conversation.model,
            persona: &pair.conversation.persona,
            repeat: pair.conversation.repeat,
            preference: pair.preference,
            missing: pair.missing.as_deref(),
            judgements: &pair.judgements,
        };
        let json = serde_json::to_string(&line).expect("a pair is plain data");
        inert_json(&json) + "\n"
    };
    pairs.iter().map(line).collect()
}
