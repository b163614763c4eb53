//! The report for a terminal.

mod comparison;
mod layout;

use shipworthy_schema::{
    CandidateComparison, Decision, Evaluation, ModelSummary, Termination, Verdict,
};

use crate::inert_text::{cut, one_line};
use crate::notices::notices;
use crate::number_text::{count, difference, interval, p_value, percent, score};
use crate::verdict_text::VerdictText;
pub use comparison::comparison_terminal;
use layout::{Paint, list, paragraph};

/// Most characters of a quoted reason of a judge or check.
const QUOTE_CHARS: usize = 200;

/// Most violations quoted per safety criterion; `evaluation_report.md` holds all.
const QUOTED_VIOLATIONS: usize = 3;

/// Returns the report for a terminal of `width` columns (60 and up; wider than 100 stays unused).
///
/// `color` adds ANSI colours; no meaning rests on them. Text from models, judges and
/// configurations is shown without its control characters.
pub fn terminal(evaluation: &Evaluation, width: usize, color: bool) -> String {
    let page = Page {
        evaluation,
        width: width.clamp(60, 100),
        paint: Paint { color },
    };
    let recommended = &evaluation.recommended;
    let (first, others): (Vec<_>, Vec<_>) = evaluation
        .decisions
        .iter()
        .partition(|d| &d.model == recommended);
    let mut blocks: Vec<String> = first.into_iter().map(|d| page.decision(d, true)).collect();
    blocks.push(page.models());
    blocks.extend(others.into_iter().map(|d| page.decision(d, false)));
    for candidate in &evaluation.comparison.candidates {
        blocks.push(page.categories(candidate));
        blocks.push(page.safety(candidate));
    }
    blocks.push(page.terminations());
    blocks.push(page.warnings());
    blocks.retain(|block| !block.is_empty());
    blocks.join("\n")
}

/// Returns the verdict and its reasons only, as [`terminal`] would show them.
pub fn headline(evaluation: &Evaluation, width: usize, color: bool) -> String {
    let page = Page {
        evaluation,
        width: width.clamp(60, 100),
        paint: Paint { color },
    };
    let mut decisions = evaluation.decisions.iter();
    let recommended = decisions.find(|d| d.model == evaluation.recommended);
    recommended
        .map(|decision| page.decision(decision, false))
        .unwrap_or_default()
}

/// Returns a table of texts for a terminal of `width` columns, made inert.
pub fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]], width: usize) -> String {
    let cells = rows
        .iter()
        .map(|row| row.iter().map(|cell| one_line(cell)).collect())
        .collect();
    layout::table(&heads, N, cells, width)
}

/// Returns sentences, made inert, as a list with hanging indentation for a terminal of `width`
/// columns.
pub fn bullets(items: &[String], width: usize) -> String {
    list(items, width)
}

/// What every block of the report needs.
struct Page<'a> {
    evaluation: &'a Evaluation,
    width: usize,
    paint: Paint,
}

impl Page<'_> {
    /// The headline with its reasons, and for the recommended candidate the next steps.
    fn decision(&self, decision: &Decision, with_next_steps: bool) -> String {
        let words = VerdictText::new(self.evaluation, decision);
        let headline = paragraph(&one_line(&words.headline), self.width);
        let mut block = self.paint.verdict(decision.verdict, &headline);
        block.push_str(&list(&words.reasons, self.width));
        if with_next_steps {
            block.push_str(&self.paint.bold("\nNext\n"));
            block.push_str(&list(&words.next_steps, self.width));
        }
        block
    }

    fn models(&self) -> String {
        let comparison = &self.evaluation.comparison;
        let header = ["Model", "Verdict", "Mean", "Pass", "Difference", "p"];
        let rows = comparison
            .models
            .iter()
            .map(|summary| self.model_row(summary))
            .collect();
        let personas = self.evaluation.plan.personas.count;
        let caption = format!(
            "Difference: mean over {}, candidate minus {}, with its 95 % interval.",
            count(personas, "persona"),
            comparison.baseline
        );
        layout::table(&header, 2, rows, self.width) + &paragraph(&caption, self.width)
    }

    fn model_row(&self, summary: &ModelSummary) -> Vec<String> {
        let evaluation = self.evaluation;
        let compared = evaluation
            .comparison
            .candidates
            .iter()
            .find(|c| c.model == summary.model);
        let verdict = evaluation
            .decisions
            .iter()
            .find(|d| d.model == summary.model)
            .map(|d| d.verdict.label().to_owned());
        let scored = summary.scored > 0;
        let if_scored = |text: String| if scored { text } else { "no score".to_owned() };
        vec![
            summary.model.to_string(),
            verdict.unwrap_or_else(|| "baseline".to_owned()),
            if_scored(score(summary.mean)),
            if_scored(percent(summary.pass_rate)),
            compared.map_or_else(String::new, |c| {
                format!("{}\n{}", difference(c.difference), interval(c.ci95))
            }),
            compared.map_or_else(String::new, |c| p_value(c.p_value)),
        ]
    }

    fn categories(&self, candidate: &CandidateComparison) -> String {
        if candidate.categories.is_empty() {
            return String::new();
        }
        let baseline = self.evaluation.comparison.baseline.as_str();
        let header = ["Category", baseline, candidate.model.as_str(), "Difference"];
        let rows = candidate
            .categories
            .iter()
            .map(|c| {
                vec![
                    one_line(&c.category),
                    score(c.baseline_mean),
                    score(c.mean),
                    difference(c.difference),
                ]
            })
            .collect();
        layout::table(&header, 1, rows, self.width)
    }

    fn safety(&self, candidate: &CandidateComparison) -> String {
        if candidate.safety.is_empty() {
            let text = format!(
                "Safety: no safety criterion was scored for {}.",
                candidate.model
            );
            return paragraph(&text, self.width);
        }
        let baseline = self.evaluation.comparison.baseline.as_str();
        let header = [
            "Safety violations",
            baseline,
            candidate.model.as_str(),
            "Regressions",
        ];
        let rows = candidate
            .safety
            .iter()
            .map(|s| {
                vec![
                    one_line(&s.criterion),
                    s.baseline_violations.to_string(),
                    format!("{} of {}", s.violations, s.conversations),
                    s.regressions.len().to_string(),
                ]
            })
            .collect();
        let mut block = layout::table(&header, 1, rows, self.width);
        for safety in &candidate.safety {
            let mut quotes: Vec<String> = safety
                .regressions
                .iter()
                .take(QUOTED_VIOLATIONS)
                .map(|violation| {
                    let reason = cut(&one_line(&violation.reason), QUOTE_CHARS);
                    format!(
                        "{} in {}: {reason}",
                        safety.criterion, violation.conversation
                    )
                })
                .collect();
            let more = safety.regressions.len().saturating_sub(QUOTED_VIOLATIONS);
            if more > 0 {
                quotes.push(format!("{more} more in evaluation_report.md"));
            }
            block.push_str(&list(&quotes, self.width));
        }
        block
    }

    /// Says how conversations ended where a model has some that failed or have no score.
    fn terminations(&self) -> String {
        let failed = |t: Termination| !t.is_complete() || t == Termination::ContextLimit;
        let lines: Vec<String> = self
            .evaluation
            .comparison
            .models
            .iter()
            .filter(|m| m.scored < m.conversations || m.terminations.keys().any(|t| failed(*t)))
            .map(|m| {
                let ends: Vec<String> = m
                    .terminations
                    .iter()
                    .map(|(termination, n)| format!("{} {n}", termination.label()))
                    .collect();
                format!(
                    "{}: {} of {} scored; {}",
                    m.model,
                    m.scored,
                    count(m.conversations, "conversation"),
                    ends.join(", ")
                )
            })
            .collect();
        if lines.is_empty() {
            return String::new();
        }
        self.paint.bold("How conversations ended\n") + &list(&lines, self.width)
    }

    fn warnings(&self) -> String {
        notices(self.evaluation)
            .into_iter()
            .map(|warning| {
                let text = format!("WARNING: {}", one_line(warning));
                self.paint.warning(&paragraph(&text, self.width))
            })
            .collect()
    }
}

impl Paint {
    fn verdict(self, verdict: Verdict, text: &str) -> String {
        let code = match verdict {
            Verdict::Ship => "1;32",
            Verdict::Iterate | Verdict::MoreEvidence => "1;33",
            Verdict::Hold => "1;35",
            Verdict::DoNotDeploy => "1;31",
        };
        self.with(code, text)
    }
}
