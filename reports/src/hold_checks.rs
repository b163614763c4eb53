//! What to check before a gain too good to be true is believed, each with what this run shows.

use shipworthy_schema::{
    CandidateComparison, Evaluation, FinishReason, ModelName, ModelSummary, Role,
};

use crate::number_text::{count, difference, percent, score};

/// Returns the checks that a suspicious gain of `candidate` calls for.
pub(crate) fn hold_checks(evaluation: &Evaluation, candidate: &ModelName) -> Vec<String> {
    let comparison = &evaluation.comparison;
    let summary = |name: &ModelName| comparison.models.iter().find(|m| &m.model == name);
    let mut checks = vec![persona_overlap(evaluation)];
    if let Some(baseline) = summary(&comparison.baseline) {
        checks.push(broken_baseline(evaluation, baseline));
    }
    checks.push(judge_family(evaluation));
    if let (Some(baseline), Some(tuned)) = (summary(&comparison.baseline), summary(candidate)) {
        checks.push(format!(
            "Length difference: replies of {} average {:.0} words, those of {} {:.0}. Does the \
             rubric or the judge reward length?",
            baseline.model, baseline.mean_reply_words, tuned.model, tuned.mean_reply_words
        ));
    }
    if let Some(tuned) = comparison.candidates.iter().find(|c| &c.model == candidate) {
        checks.extend(one_persona(tuned));
        checks.push(ceiling(tuned));
    }
    checks
}

fn persona_overlap(evaluation: &Evaluation) -> String {
    let known = match &evaluation.plan.training_data {
        Some(data) => format!("checked against {} only", data.path),
        None => "not verified, as no training data was given".to_owned(),
    };
    format!(
        "Persona overlap with training: {known}. Could the personas, their situations or the \
         rubric's text be in what the candidate was trained on?"
    )
}

fn broken_baseline(evaluation: &Evaluation, baseline: &ModelSummary) -> String {
    let incomplete: u32 = baseline
        .terminations
        .iter()
        .filter(|(termination, _)| !termination.is_complete())
        .map(|(_, n)| n)
        .sum();
    let finishes: Vec<_> = evaluation
        .conversations
        .iter()
        .filter(|c| c.id.model == baseline.model)
        .flat_map(|c| &c.turns)
        .filter(|t| t.role == Role::Assistant)
        .map(|t| t.finish_reason.as_ref())
        .collect();
    let truncated = finishes
        .iter()
        .filter(|f| **f == Some(&FinishReason::Length))
        .count();
    format!(
        "Broken baseline: {incomplete} of {} of {} failed, {truncated} of its {} replies were \
         truncated. Are its chat template, file and sampling the intended ones?",
        count(baseline.conversations, "conversation"),
        baseline.model,
        finishes.len()
    )
}

fn judge_family(evaluation: &Evaluation) -> String {
    match &evaluation.plan.judge {
        Some(judge) => format!(
            "Judge of the same family: {} judged. Does it share a family with the candidate, or \
             with the model that wrote the training data?",
            judge.model.name
        ),
        None => {
            "Judge: none; deterministic checks scored. Has the candidate learnt to satisfy the \
                 checks rather than the people?"
                .to_owned()
        }
    }
}

/// Needs two personas: without the one that gains most, something must be left.
fn one_persona(candidate: &CandidateComparison) -> Option<String> {
    let gain = |i: usize| candidate.pairs[i].candidate - candidate.pairs[i].baseline;
    let largest = (0..candidate.pairs.len()).max_by(|&a, &b| gain(a).total_cmp(&gain(b)))?;
    let others: Vec<f64> = (0..candidate.pairs.len())
        .filter(|&i| i != largest)
        .map(gain)
        .collect();
    if others.is_empty() {
        return None;
    }
    let mean_of_others = others.iter().sum::<f64>() / others.len() as f64;
    Some(format!(
        "One persona carrying the effect: without {}, which gains most, the mean gain is {} \
         instead of {}.",
        candidate.pairs[largest].persona,
        difference(mean_of_others),
        difference(candidate.difference)
    ))
}

fn ceiling(candidate: &CandidateComparison) -> String {
    let at_ceiling = candidate
        .pairs
        .iter()
        .filter(|p| p.candidate >= 1.0)
        .count();
    format!(
        "Ceiling: the candidate's mean is {} ({} of conversations pass), and {at_ceiling} of {} \
         reach 1. Is the rubric too easy to tell good from very good?",
        score(candidate.mean),
        percent(candidate.pass_rate),
        count(candidate.personas, "persona")
    )
}
