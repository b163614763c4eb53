//! `evaluation_report.md`: the report for people who decide, review and reproduce.

pub(crate) mod escape;
mod examples;
pub(crate) mod judges;
pub(crate) mod looks;
pub(crate) mod personas;
pub(crate) mod preflight;
pub(crate) mod ranking;
pub(crate) mod results;
pub(crate) mod safety;
pub(crate) mod setup;
pub(crate) mod simulator;
pub(crate) mod statistics;
pub(crate) mod table;

use shipworthy_schema::{Decision, Evaluation};

use crate::evidence_limits::evidence_limits;
use crate::notices::notices;
use crate::verdict_text::VerdictText;
use escape::escaped;

/// Returns `evaluation_report.md`: the verdict with its reasons first, then what was compared, the
/// results down to single personas, example conversations, limits, and how to reproduce it.
///
/// Text from models, judges and configurations is escaped, so that it renders as plain text.
pub fn markdown(evaluation: &Evaluation) -> String {
    let mut sections = vec![verdict(evaluation), setup::compared(evaluation)];
    sections.push(results::models(evaluation));
    sections.push(ranking::ranking(evaluation));
    sections.push(looks::looks(evaluation));
    for candidate in &evaluation.comparison.candidates {
        sections.push(statistics::statistics(evaluation, candidate));
        sections.push(personas::personas(evaluation, candidate));
        sections.push(results::categories(evaluation, candidate));
        sections.push(results::criteria(evaluation, candidate));
        sections.push(safety::safety(evaluation, candidate));
    }
    sections.push(judges::judges(evaluation));
    sections.push(results::terminations(evaluation));
    sections.push(simulator::simulator(evaluation));
    sections.push(examples::examples(evaluation));
    sections.push(preflight::preflight(evaluation));
    sections.push(limits(evaluation));
    sections.push(setup::reproduce(evaluation));
    sections.retain(|section| !section.is_empty());
    sections.join("\n")
}

fn verdict(evaluation: &Evaluation) -> String {
    let recommended = &evaluation.recommended;
    let (first, others): (Vec<_>, Vec<_>) = evaluation
        .decisions
        .iter()
        .partition(|d| &d.model == recommended);
    let mut section = format!("# Evaluation of {}\n", escaped(&evaluation.plan.project));
    for decision in first {
        let words = VerdictText::new(evaluation, decision);
        section.push_str(&format!("\n**{}**\n", escaped(&words.headline)));
        for warning in notices(evaluation) {
            section.push_str(&format!("\n> **Warning:** {}\n", escaped(warning)));
        }
        section.push_str(&format!("\n{}", bullets(&words.reasons)));
        section.push_str(&format!("\n**Next**\n\n{}", bullets(&words.next_steps)));
    }
    if !others.is_empty() {
        section.push_str("\n## Other candidates\n");
        for decision in others {
            section.push_str(&other_candidate(evaluation, decision));
        }
    }
    section
}

/// Returns what the evidence does not show.
pub(crate) fn limits(evaluation: &Evaluation) -> String {
    let limits = evidence_limits(evaluation);
    format!("## Limits of this evidence\n\n{}", bullets(&limits))
}

fn other_candidate(evaluation: &Evaluation, decision: &Decision) -> String {
    let words = VerdictText::new(evaluation, decision);
    format!(
        "\n**{}**\n\n{}",
        escaped(&words.headline),
        bullets(&words.reasons)
    )
}

/// Returns `items` as an escaped list.
pub(crate) fn bullets(items: &[String]) -> String {
    items
        .iter()
        .map(|item| format!("- {}\n", escaped(item)))
        .collect()
}
