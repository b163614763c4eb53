//! The JSON document of a comparison that is no evaluation's: scores from elsewhere.

use serde::Serialize;
use shipworthy_schema::{Comparison, Decision, ModelName};

use crate::decision_json::Candidate;
use crate::inert_text::inert_json;

/// Version of the document; it rises when a field changes its meaning or goes away.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    baseline: &'a ModelName,
    candidates: Vec<Candidate<'a>>,
}

/// Returns every candidate's verdict and numbers, in full precision and with the names of
/// `decision.json`.
pub fn comparison_json(comparison: &Comparison, decisions: &[Decision]) -> String {
    let document = Document {
        format: FORMAT,
        baseline: &comparison.baseline,
        candidates: decisions
            .iter()
            .map(|decision| Candidate::new(comparison, decision))
            .collect(),
    };
    let json = serde_json::to_string_pretty(&document)
        .expect("writing to memory cannot fail, and every map has text keys");
    inert_json(&json) + "\n"
}
