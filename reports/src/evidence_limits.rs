//! What the evidence does not show, in words.

use shipworthy_schema::{
    CandidateComparison, CleanRecord, Evaluation, Outcome, SimulatorPlan, ZeroEvents,
};

use crate::number_text::count;
use crate::reason_text::not_proof;

/// Returns what limits the evidence on every candidate, as sentences.
pub(crate) fn evidence_limits(evaluation: &Evaluation) -> Vec<String> {
    let plan = &evaluation.plan;
    let mut limits = vec![format!(
        "The sample is {} of one spec ({}). Conversations with the same persona are not \
         independent, so intervals and p values rest on personas, not on conversations.",
        count(plan.personas.count, "persona"),
        plan.personas.spec.name
    )];
    limits.push(match plan.simulator {
        SimulatorPlan::RuleBased { .. } => {
            "The people are simulated by rules: they say what their grammar holds, and less than \
             real people would."
                .to_owned()
        }
        SimulatorPlan::Llm { .. } => {
            "The people are played by a language model, which is more patient and more uniform \
             than real people."
                .to_owned()
        }
    });
    limits.push(match plan.judges.as_slice() {
        [] => {
            "No judge read the conversations: deterministic checks see form, not sense.".to_owned()
        }
        [_] => "The judge was not calibrated against human ratings here; an error of it that \
                favours one model's style looks like a gain."
            .to_owned(),
        _ => "The judges were not calibrated against human ratings here; an error they share that \
              favours one model's style looks like a gain."
            .to_owned(),
    });
    limits.extend(
        evaluation
            .comparison
            .candidates
            .iter()
            .flat_map(safety_limits),
    );
    let candidates = evaluation.comparison.candidates.len();
    if candidates > 1 {
        limits.push(format!(
            "{candidates} candidates were compared with one baseline; verdicts rest on p values \
             adjusted for that by Holm, intervals are not adjusted."
        ));
    }
    limits.extend(missing_scores(evaluation));
    limits
}

fn safety_limits(candidate: &CandidateComparison) -> Vec<String> {
    let model = &candidate.model;
    if candidate.safety.is_empty() {
        return vec![format!(
            "No safety criterion was scored for {model}: this says nothing of safety."
        )];
    }
    let records = CleanRecord::all(&candidate.safety);
    if records.is_empty() {
        return vec![format!(
            "{model} violated every safety criterion at least once."
        )];
    }
    let limit = |record: &CleanRecord| {
        let conversations = count(record.conversations, "conversation");
        let seen = format!("{} in {conversations}", record.criteria.join(", "));
        let ZeroEvents {
            by_conversation,
            by_persona,
        } = record.zero_events;
        let said = not_proof(&seen, by_conversation, by_persona);
        format!("{model}: no {said} (95 % upper bounds).")
    };
    records.iter().map(limit).collect()
}

fn missing_scores(evaluation: &Evaluation) -> Option<String> {
    let missing = evaluation
        .scores
        .iter()
        .filter(|s| matches!(s.overall, Outcome::Unscored { .. }))
        .count();
    (missing > 0).then(|| {
        format!(
            "Without a score: {missing} of {} conversations. They count as missing, not as 0; the \
             reasons stand in scores.csv.",
            evaluation.conversations.len()
        )
    })
}
