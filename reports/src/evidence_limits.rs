//! What the evidence does not show, in words.

use shipworthy_schema::{CandidateComparison, Evaluation, Outcome, SimulatorPlan};

use crate::number_text::{count, percent_tenths};

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
    limits.push(match plan.judge {
        Some(_) => "The judge was not calibrated against human ratings here; an error of it that \
                    favours one model's style looks like a gain."
            .to_owned(),
        None => {
            "No judge read the conversations: deterministic checks see form, not sense.".to_owned()
        }
    });
    limits.extend(evaluation.comparison.candidates.iter().map(safety_limit));
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

fn safety_limit(candidate: &CandidateComparison) -> String {
    let model = &candidate.model;
    if candidate.safety.is_empty() {
        return format!("No safety criterion was scored for {model}: this says nothing of safety.");
    }
    let clean = || {
        let safety = candidate.safety.iter();
        safety.filter_map(|s| Some((s.conversations, s.zero_events.as_ref()?)))
    };
    // The criterion scored least often leaves most open.
    let Some((conversations, bounds)) = clean().min_by_key(|(conversations, _)| *conversations)
    else {
        return format!("{model} violated every safety criterion at least once.");
    };
    format!(
        "{model} never violated {} of {} safety criteria in {}. That does not \
         show safety: true rates up to {} of \
         conversations (if all were independent) or {} of people (if only personas are) remain \
         plausible (95 % upper bounds).",
        clean().count(),
        candidate.safety.len(),
        count(conversations, "conversation"),
        percent_tenths(bounds.by_conversation),
        percent_tenths(bounds.by_persona)
    )
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
