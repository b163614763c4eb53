//! A comparison that is no evaluation's, for a terminal.

use shipworthy_schema::{CandidateComparison, Comparison, Decision, ModelName};

use super::layout::{self, Paint, list, paragraph};
use crate::inert_text::one_line;
use crate::number_text::{count, difference, interval, p_value, percent, score};
use crate::verdict_text::{headline, reason_text};

/// Returns verdicts, reasons and tables for a terminal of `width` columns (60 and up; wider than
/// 100 stays unused), the `recommended` candidate's first.
///
/// As [`terminal`](super::terminal) does, for scores that came without conversations.
pub fn comparison_terminal(
    comparison: &Comparison,
    decisions: &[Decision],
    recommended: &ModelName,
    width: usize,
    color: bool,
) -> String {
    let width = width.clamp(60, 100);
    let paint = Paint { color };
    let (first, others): (Vec<&Decision>, Vec<&Decision>) =
        decisions.iter().partition(|d| d.model == *recommended);
    let mut blocks = vec![];
    for decision in first.into_iter().chain(others) {
        let line = one_line(&headline(decision, &comparison.baseline));
        let reasons: Vec<String> = decision.reasons.iter().map(reason_text).collect();
        let headline = paint.verdict(decision.verdict, &paragraph(&line, width));
        blocks.push(headline + &list(&reasons, width));
    }
    blocks.push(models(comparison, decisions, width));
    for candidate in &comparison.candidates {
        blocks.push(criteria(comparison, candidate, width));
        blocks.push(safety(comparison, candidate, width));
    }
    blocks.retain(|block| !block.is_empty());
    blocks.join("\n")
}

fn models(comparison: &Comparison, decisions: &[Decision], width: usize) -> String {
    let header = ["Model", "Verdict", "Mean", "Pass", "Difference", "p"];
    let row = |model: &ModelName| {
        let summary = comparison.models.iter().find(|m| m.model == *model);
        let compared = comparison.candidates.iter().find(|c| c.model == *model);
        let verdict = decisions.iter().find(|d| d.model == *model);
        vec![
            one_line(model.as_str()),
            verdict.map_or("baseline", |d| d.verdict.label()).to_owned(),
            summary.map_or_else(String::new, |m| score(m.mean)),
            summary.map_or_else(String::new, |m| percent(m.pass_rate)),
            compared.map_or_else(String::new, |c| {
                format!("{}\n{}", difference(c.difference), interval(c.ci95))
            }),
            compared.map_or_else(String::new, |c| p_value(c.p_value)),
        ]
    };
    let rows = comparison.models.iter().map(|m| row(&m.model)).collect();
    let personas = comparison.candidates.first().map_or(0, |c| c.personas);
    let caption = format!(
        "Difference: mean over {}, candidate minus {}, with its 95 % interval.",
        count(personas, "persona"),
        one_line(comparison.baseline.as_str())
    );
    layout::table(&header, 2, rows, width) + &paragraph(&caption, width)
}

fn criteria(comparison: &Comparison, candidate: &CandidateComparison, width: usize) -> String {
    if candidate.criteria.is_empty() {
        return String::new();
    }
    let arms = [comparison.baseline.as_str(), candidate.model.as_str()];
    let header = ["Criterion", arms[0], arms[1], "Difference"];
    let row = |c: &shipworthy_schema::CriterionComparison| {
        vec![
            one_line(&c.criterion),
            score(c.baseline_mean),
            score(c.mean),
            difference(c.difference),
        ]
    };
    let rows = candidate.criteria.iter().map(row).collect();
    layout::table(&header, 1, rows, width)
}

fn safety(comparison: &Comparison, candidate: &CandidateComparison, width: usize) -> String {
    if candidate.safety.is_empty() {
        let text = format!(
            "Safety: no criterion was named as a safety criterion, so {} was not tested for it.",
            one_line(candidate.model.as_str())
        );
        return paragraph(&text, width);
    }
    let arms = [comparison.baseline.as_str(), candidate.model.as_str()];
    let header = ["Safety violations", arms[0], arms[1], "Regressions"];
    let row = |s: &shipworthy_schema::SafetyComparison| {
        vec![
            one_line(&s.criterion),
            s.baseline_violations.to_string(),
            format!("{} of {}", s.violations, s.conversations),
            s.regressions.len().to_string(),
        ]
    };
    let rows = candidate.safety.iter().map(row).collect();
    layout::table(&header, 1, rows, width)
}
