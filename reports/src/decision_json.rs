//! `decision.json`: the verdict for programs.

use serde::Serialize;
use serde_json::{Map, Value};
use shipworthy_schema::{
    CandidateComparison, CategoryComparison, Comparison, CriterionComparison, Decision, Evaluation,
    ModelName, ModelSummary, Reason, SafetyComparison, Verdict,
};

use crate::inert_text::inert_json;
use crate::notices::notices;
use crate::verdict_text::reason_text;

/// Version of `decision.json`; it rises when a field changes its meaning or goes away.
const FORMAT: u32 = 1;

/// Returns `decision.json`: verdict, exit code and every number they rest on, in full precision.
///
/// Holds no time, run id or host, so equal evaluations give equal bytes. A number that does not
/// exist, such as the mean of no scores, is `null`. Each persona's scores are in `scores.csv`.
pub fn decision_json(evaluation: &Evaluation) -> String {
    let verdict = evaluation.verdict();
    let document = Document {
        format: FORMAT,
        verdict,
        exit_code: verdict.exit_code(),
        recommended: &evaluation.recommended,
        plan: evaluation.plan.digest().into(),
        baseline: &evaluation.comparison.baseline,
        candidates: evaluation
            .decisions
            .iter()
            .map(|decision| Candidate::new(&evaluation.comparison, decision))
            .collect(),
        models: &evaluation.comparison.models,
        warnings: notices(evaluation),
    };
    let json = serde_json::to_string_pretty(&document)
        .expect("writing to memory cannot fail, and every map has text keys");
    inert_json(&json) + "\n"
}

#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    verdict: Verdict,
    exit_code: u8,
    recommended: &'a ModelName,
    plan: String,
    baseline: &'a ModelName,
    candidates: Vec<Candidate<'a>>,
    models: &'a [ModelSummary],
    warnings: Vec<&'a str>,
}

/// One candidate's verdict and numbers, as every JSON document holds them.
#[derive(Serialize)]
pub(crate) struct Candidate<'a> {
    model: &'a ModelName,
    verdict: Verdict,
    reasons: Vec<Value>,
    #[serde(flatten)]
    numbers: Option<Numbers<'a>>,
}

impl<'a> Candidate<'a> {
    pub(crate) fn new(comparison: &'a Comparison, decision: &'a Decision) -> Self {
        let comparisons = &comparison.candidates;
        Self {
            model: &decision.model,
            verdict: decision.verdict,
            reasons: decision.reasons.iter().map(reason).collect(),
            numbers: comparisons
                .iter()
                .find(|c| c.model == decision.model)
                .map(Numbers::new),
        }
    }
}

#[derive(Serialize)]
struct Numbers<'a> {
    personas: u32,
    conversations: u32,
    baseline_mean: f64,
    mean: f64,
    sd: f64,
    pass_rate: f64,
    difference: f64,
    ci95: [f64; 2],
    t: f64,
    df: f64,
    p_value: f64,
    categories: &'a [CategoryComparison],
    criteria: &'a [CriterionComparison],
    safety: &'a [SafetyComparison],
}

impl<'a> Numbers<'a> {
    /// Names every field, so that the compiler asks about a new one.
    fn new(candidate: &'a CandidateComparison) -> Self {
        let CandidateComparison {
            model: _,
            personas,
            conversations,
            baseline_mean,
            mean,
            sd,
            pass_rate,
            difference,
            ci95,
            t,
            df,
            p_value,
            categories,
            criteria,
            safety,
            pairs: _,
        } = candidate;
        Self {
            personas: *personas,
            conversations: *conversations,
            baseline_mean: *baseline_mean,
            mean: *mean,
            sd: *sd,
            pass_rate: *pass_rate,
            difference: *difference,
            ci95: *ci95,
            t: *t,
            df: *df,
            p_value: *p_value,
            categories,
            criteria,
            safety,
        }
    }
}

/// Returns the reason's own fields, `kind` first, with its sentence as `text`.
fn reason(reason: &Reason) -> Value {
    let mut fields = match serde_json::to_value(reason) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    fields.insert("text".to_owned(), reason_text(reason).into());
    Value::Object(fields)
}
