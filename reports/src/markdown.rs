//! `evaluation_report.md`: the report for people who decide, review and reproduce.

pub(crate) mod cost;
pub(crate) mod escape;
mod examples;
pub(crate) mod human;
pub(crate) mod judges;
pub(crate) mod looks;
pub(crate) mod pairwise;
pub(crate) mod personas;
pub(crate) mod preflight;
pub(crate) mod ranking;
pub(crate) mod regression;
pub(crate) mod results;
pub(crate) mod safety;
pub(crate) mod setup;
pub(crate) mod simulator;
pub(crate) mod statistics;
pub(crate) mod table;

use shipworthy_schema::{Decision, Evaluation};

use crate::evidence_limits::evidence_limits;
use crate::inert_text::cut;
use crate::notices::notices;
use crate::verdict_text::VerdictText;
use escape::escaped;

/// Where a report has to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The summary of a step of GitHub Actions: 1 MiB, or nothing of it is shown.
    StepSummary,
    /// A comment on GitHub or GitLab: 65,536 characters on the former.
    Comment,
}

impl Fit {
    /// Returns the most bytes that may be written; a comment's bound is in characters, of which
    /// there are never more than bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::StepSummary => 1024 * 1024,
            Self::Comment => 65_536,
        }
    }
}

/// Returns `evaluation_report.md`: the verdict with its reasons first, then what was compared, the
/// results down to single personas, example conversations, limits, and how to reproduce it.
///
/// Text from models, judges and configurations is escaped, so that it renders as plain text.
pub fn markdown(evaluation: &Evaluation) -> String {
    sections(evaluation).join("\n")
}

/// Returns the report in at most `bytes` bytes: sections that do not fit are left out whole, the
/// largest first, and the end says which. The verdict always stays; it is cut where it alone is too
/// long.
pub fn markdown_within(evaluation: &Evaluation, bytes: usize) -> String {
    /// For the list of what was left out.
    const RESERVE: usize = 2048;
    let mut sections = sections(evaluation);
    let length = |sections: &[String]| sections.iter().map(|s| s.len() + 1).sum::<usize>();
    let mut left_out = Vec::new();
    while length(&sections) + RESERVE > bytes && sections.len() > 1 {
        let largest = sections.iter().enumerate().skip(1);
        let (at, _) = largest
            .max_by_key(|(at, section)| (section.len(), usize::MAX - at))
            .expect("there are at least two sections");
        left_out.push(title(&sections.remove(at)));
    }
    if left_out.is_empty() {
        return sections.join("\n");
    }
    left_out.sort_unstable();
    left_out.dedup();
    let mut report = sections.join("\n");
    let note = format!(
        "\n> Left out to fit {bytes} bytes: {}. All of it is in the run's directory.\n",
        cut(&left_out.join(", "), RESERVE / 4)
    );
    let room = bytes.saturating_sub(note.len());
    if report.len() > room {
        let end = (0..=room).rev().find(|&end| report.is_char_boundary(end));
        report.truncate(end.unwrap_or(0));
        let line = report.rfind('\n').map_or(0, |at| at + 1);
        report.truncate(line);
    }
    report + &note
}

/// Returns the first heading of a section.
fn title(section: &str) -> String {
    let heading = section.lines().find(|line| line.starts_with('#'));
    heading.map_or_else(
        || "a section without a heading".to_owned(),
        |line| line.trim_start_matches('#').trim().to_owned(),
    )
}

fn sections(evaluation: &Evaluation) -> Vec<String> {
    let mut sections = vec![verdict_markdown(evaluation), setup::compared(evaluation)];
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
    sections.push(human::human(evaluation));
    sections.push(pairwise::pairwise(evaluation));
    sections.push(results::terminations(evaluation));
    sections.push(simulator::simulator(evaluation));
    sections.push(cost::cost(evaluation));
    sections.push(examples::examples(evaluation));
    sections.push(preflight::preflight(evaluation));
    sections.push(limits(evaluation));
    sections.push(setup::reproduce(evaluation));
    sections.retain(|section| !section.is_empty());
    sections
}

/// Returns the verdict of every candidate with its reasons, the recommended one's with the next steps and
/// what a reader must know: the head of [`markdown`], by itself for a step summary.
pub fn verdict_markdown(evaluation: &Evaluation) -> String {
    verdict_section(evaluation, true)
}

/// Returns the same without what to do next.
pub(crate) fn findings_markdown(evaluation: &Evaluation) -> String {
    verdict_section(evaluation, false)
}

fn verdict_section(evaluation: &Evaluation, with_next_steps: bool) -> String {
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
        if with_next_steps {
            section.push_str(&format!("\n**Next**\n\n{}", bullets(&words.next_steps)));
        }
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
