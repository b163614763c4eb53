//! A comparison with its decisions, for programs: one shape for `decision.json` and for scores from
//! elsewhere.

use serde_json::{Map, Value, json};
use shipworthy_schema::{CandidateComparison, Comparison, Decision, Reason};

use crate::inert_text::inert_json;
use crate::reason_text::reason_text;

/// Version of the format; it rises when a field changes its meaning or goes away.
pub(crate) const FORMAT: u32 = 1;

/// Returns the comparison with its decisions as JSON: `format`, `baseline`, `candidates`, `ranking`,
/// `models`.
///
/// Each candidate has every number of the comparison in full precision, then `verdict` and
/// `reasons`. A number that does not exist is `null`. Only its pairs are left out, as the scores they
/// come from are at hand, and the curve of its power, which its spread gives.
pub fn compare_json(comparison: &Comparison, decisions: &[Decision]) -> String {
    let document = json!({
        "format": FORMAT,
        "baseline": comparison.baseline,
        "candidates": candidates(comparison, decisions),
        "ranking": comparison.ranking,
        "models": comparison.models,
    });
    inert_json(&format!("{document:#}\n"))
}

/// Returns every candidate with its decision, in the order of the decisions.
pub(crate) fn candidates(comparison: &Comparison, decisions: &[Decision]) -> Vec<Value> {
    let candidate = |decision: &Decision| {
        let mut candidates = comparison.candidates.iter();
        let numbers = candidates.find(|candidate| candidate.model == decision.model);
        candidate_json(numbers, decision)
    };
    decisions.iter().map(candidate).collect()
}

fn candidate_json(numbers: Option<&CandidateComparison>, decision: &Decision) -> Value {
    let mut fields = numbers.map_or_else(Map::new, object);
    fields.shift_remove("pairs");
    fields.shift_remove("power");
    fields.insert("model".to_owned(), decision.model.as_str().into());
    fields.insert("verdict".to_owned(), json!(decision.verdict));
    let reasons: Vec<Value> = decision.reasons.iter().map(reason_json).collect();
    fields.insert("reasons".to_owned(), reasons.into());
    Value::Object(fields)
}

/// Returns the reason's own fields, `kind` first, with its sentence as `text`.
fn reason_json(reason: &Reason) -> Value {
    let mut fields = object(reason);
    fields.insert("text".to_owned(), reason_text(reason).into());
    Value::Object(fields)
}

fn object(value: &impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}
