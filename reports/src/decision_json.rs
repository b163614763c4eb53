//! `decision.json`: the verdict for programs.

use serde::Serialize;
use serde_json::Value;
use shipworthy_schema::{
    Cost, Evaluation, HumanCheck, InterimLook, JudgingSummary, ModelName, ModelSummary,
    PairwiseSummary, PoolLook, Ranking, SimulatorAudit, Verdict,
};

use crate::comparison_json::{FORMAT, candidates};
use crate::inert_text::inert_json;
use crate::notices::notices;

/// Returns `decision.json`: verdict, exit code and every number they rest on, in full precision.
///
/// Holds no time, run id or host, so equal evaluations give equal bytes. A number that does not
/// exist is `null`. Candidates are those of [`compare_json`](crate::compare_json). Each persona's
/// scores are in `scores.csv`.
pub fn decision_json(evaluation: &Evaluation) -> String {
    let verdict = evaluation.verdict();
    let document = Document {
        format: FORMAT,
        verdict,
        exit_code: verdict.exit_code(),
        recommended: &evaluation.recommended,
        plan: evaluation.plan.digest().into(),
        baseline: &evaluation.comparison.baseline,
        candidates: candidates(&evaluation.comparison, &evaluation.decisions),
        ranking: &evaluation.comparison.ranking,
        pool_looks: &evaluation.pool_looks,
        interim_looks: &evaluation.interim_looks,
        models: &evaluation.comparison.models,
        judging: evaluation.judging.as_ref(),
        pairwise: evaluation.pairwise.as_ref(),
        human: evaluation.human.as_ref(),
        simulator_audit: &evaluation.simulator_audit,
        cost: &evaluation.cost,
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
    candidates: Vec<Value>,
    ranking: &'a Ranking,
    pool_looks: &'a [PoolLook],
    interim_looks: &'a [InterimLook],
    models: &'a [ModelSummary],
    judging: Option<&'a JudgingSummary>,
    pairwise: Option<&'a PairwiseSummary>,
    /// Absent before anybody labelled a conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    human: Option<&'a HumanCheck>,
    simulator_audit: &'a SimulatorAudit,
    cost: &'a Cost,
    warnings: Vec<&'a str>,
}
