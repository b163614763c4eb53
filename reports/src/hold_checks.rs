//! What to check before a gain too good to be true is believed, each with what this run shows.

use shipworthy_schema::{
    CandidateComparison, Comparison, Evaluation, FinishReason, LeaveOneOut, ModelName,
    ModelSummary, Role,
};

use crate::number_text::{count, difference, percent, score};

/// Returns the checks that a suspicious gain of `candidate` calls for; without the evaluation, those
/// on what was said are for the reader to make.
pub(crate) fn hold_checks(
    comparison: &Comparison,
    evaluation: Option<&Evaluation>,
    candidate: &ModelName,
) -> Vec<String> {
    let summary = |name: &ModelName| comparison.models.iter().find(|m| &m.model == name);
    let mut checks = vec![persona_overlap(evaluation)];
    let arms = summary(&comparison.baseline).zip(summary(candidate));
    if let Some((baseline, tuned)) = arms {
        checks.push(broken_baseline(evaluation, baseline, tuned));
    }
    checks.push(judge_family(evaluation));
    if let Some((baseline, tuned)) = arms {
        checks.push(length(baseline, tuned));
        checks.push(missing(baseline, tuned));
    }
    if let Some(tuned) = comparison.candidates.iter().find(|c| &c.model == candidate) {
        checks.extend(one_persona(tuned));
        checks.push(ceiling(tuned));
    }
    checks
}

fn persona_overlap(evaluation: Option<&Evaluation>) -> String {
    let known = match evaluation.map(|evaluation| &evaluation.plan.training_data) {
        Some(Some(data)) => format!("checked against {} only", data.path),
        Some(None) => "not verified, as no training data was given".to_owned(),
        None => "not known here".to_owned(),
    };
    format!(
        "Persona overlap with training: {known}. Could the personas, their situations or the \
         rubric's text be in what the candidate was trained on?"
    )
}

fn broken_baseline(
    evaluation: Option<&Evaluation>,
    baseline: &ModelSummary,
    tuned: &ModelSummary,
) -> String {
    let question = "Are its chat template, file, adapter and sampling the intended ones, and does \
                    it refuse?";
    let Some(evaluation) = evaluation else {
        return format!(
            "Broken baseline: the transcripts are not known here. Were replies of {} truncated? \
             {question}",
            baseline.model
        );
    };
    let incomplete: u32 = baseline
        .terminations
        .iter()
        .filter(|(termination, _)| !termination.is_complete())
        .map(|(_, n)| n)
        .sum();
    format!(
        "Broken baseline: {incomplete} of {} of {} failed; truncated were {} of its replies, and \
         {} of those of {}. {question}",
        count(baseline.conversations, "conversation"),
        baseline.model,
        truncated(evaluation, &baseline.model),
        truncated(evaluation, &tuned.model),
        tuned.model
    )
}

/// Returns the share of a model's replies that were cut off, e.g. `3 of 90 (3 %)`.
fn truncated(evaluation: &Evaluation, model: &ModelName) -> String {
    let finishes: Vec<_> = evaluation
        .conversations
        .iter()
        .filter(|c| c.id.model == *model)
        .flat_map(|c| &c.turns)
        .filter(|t| t.role == Role::Assistant)
        .map(|t| t.finish_reason.as_ref())
        .collect();
    let cut = finishes
        .iter()
        .filter(|f| **f == Some(&FinishReason::Length))
        .count();
    let share = cut as f64 / finishes.len().max(1) as f64;
    format!("{cut} of {} ({})", finishes.len(), percent(share))
}

fn judge_family(evaluation: Option<&Evaluation>) -> String {
    match evaluation.map(|evaluation| evaluation.plan.judges.as_slice()) {
        Some([judge]) => format!(
            "Judge of the same family: {} judged, without seeing any model's name. Does it share a \
             family with the candidate, or with the model that wrote the training data?",
            judge.model.name
        ),
        Some(judges @ [_, _, ..]) => {
            let names: Vec<&str> = judges.iter().map(|j| j.model.name.as_str()).collect();
            format!(
                "Judges of the same family: {} judged, without seeing any model's name. Does one share \
                 a family with the candidate, or with the model that wrote the training data?",
                names.join(", ")
            )
        }
        Some([]) => "Judge: none; deterministic checks scored. Has the candidate learnt to \
                       satisfy the checks rather than the people?"
            .to_owned(),
        None => "Judge: not known here. Does it share a family with the candidate, or does it see \
                 the model's name?"
            .to_owned(),
    }
}

fn length(baseline: &ModelSummary, tuned: &ModelSummary) -> String {
    let question = "Does the rubric or the judge reward length?";
    match (baseline.mean_reply_words, tuned.mean_reply_words) {
        (Some(of_baseline), Some(of_tuned)) => format!(
            "Length difference: replies of {} average {of_baseline:.0} words, those of {} \
             {of_tuned:.0} ({:+.0}). {question}",
            baseline.model,
            tuned.model,
            of_tuned - of_baseline
        ),
        _ => format!("Length difference: not known here. {question}"),
    }
}

fn missing(baseline: &ModelSummary, tuned: &ModelSummary) -> String {
    let of =
        |m: &ModelSummary| format!("{} of {} with {}", m.missing, m.scored + m.missing, m.model);
    let words = if baseline.missing == tuned.missing {
        "the same in both arms."
    } else {
        "too little to show that it depends on the model, but are the lost ones the hard ones?"
    };
    format!(
        "Missing scores: {} and {}: {words}",
        of(baseline),
        of(tuned)
    )
}

fn one_persona(candidate: &CandidateComparison) -> Option<String> {
    let change = |one: &LeaveOneOut| (one.difference - candidate.difference).abs();
    let by_change = |a: &&LeaveOneOut, b: &&LeaveOneOut| change(a).total_cmp(&change(b));
    let most = candidate.leave_one_out.iter().rev().max_by(by_change)?;
    Some(format!(
        "One persona carrying the effect: without {}, who changes it most, the mean gain is {} \
         instead of {}.",
        most.persona,
        difference(most.difference),
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
