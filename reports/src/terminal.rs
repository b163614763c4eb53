//! The report for a terminal.

pub(crate) mod columns;
mod cost;
mod criteria;
pub(crate) mod layout;
mod models;
mod pairs;
mod reasons;
mod safety;

use shipworthy_schema::{
    CandidateComparison, Comparison, Decision, Evaluation, JudgeSummary, ModelName, Termination,
    Verdict,
};

use crate::human_text::{differs, few, lowest_alpha, who};
use crate::inert_text::one_line;
use crate::judging_text::{cost, lowest};
use crate::notices::notices;
use crate::number_text::{count, difference, score};
use crate::pairwise_text::{chose, compared};
use crate::verdict_text::VerdictText;
use columns::Column;
use layout::{Paint, list, paragraph};

/// Returns the report for a terminal of `width` columns (60 and up; wider than 100 stays unused).
///
/// `color` adds ANSI colours; no meaning rests on them. Text from models, judges and
/// configurations is shown without its control characters.
pub fn terminal(evaluation: &Evaluation, width: usize, color: bool) -> String {
    Page::of(evaluation, width, color).all()
}

/// Returns the verdict and its reasons only, as [`terminal`] would show them.
pub fn headline(evaluation: &Evaluation, width: usize, color: bool) -> String {
    let page = Page::of(evaluation, width, color);
    let mut decisions = evaluation.decisions.iter();
    let recommended = decisions.find(|d| d.model == evaluation.recommended);
    recommended
        .map(|decision| page.decision(decision, false))
        .unwrap_or_default()
}

/// Returns the report on scores from elsewhere, of which only the comparison is known, as
/// [`terminal`] would show it.
pub fn compare_terminal(
    comparison: &Comparison,
    decisions: &[Decision],
    recommended: &ModelName,
    width: usize,
    color: bool,
) -> String {
    let page = Page {
        comparison,
        decisions,
        recommended,
        evaluation: None,
        width: width.clamp(60, 100),
        paint: Paint { color },
    };
    page.all()
}

/// Returns a table of texts for a terminal of `width` columns, made inert.
pub fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]], width: usize) -> String {
    let cells = rows
        .iter()
        .map(|row| row.iter().map(|cell| one_line(cell)).collect())
        .collect();
    layout::table(&heads.map(Column::text), cells, width)
}

/// Returns sentences, made inert, as a list with hanging indentation for a terminal of `width`
/// columns.
pub fn bullets(items: &[String], width: usize) -> String {
    list(items, width)
}

/// What every block of the report needs.
struct Page<'a> {
    comparison: &'a Comparison,
    decisions: &'a [Decision],
    recommended: &'a ModelName,
    /// What else is known, unless the scores are from elsewhere.
    evaluation: Option<&'a Evaluation>,
    width: usize,
    paint: Paint,
}

impl<'a> Page<'a> {
    fn of(evaluation: &'a Evaluation, width: usize, color: bool) -> Self {
        Self {
            comparison: &evaluation.comparison,
            decisions: &evaluation.decisions,
            recommended: &evaluation.recommended,
            evaluation: Some(evaluation),
            width: width.clamp(60, 100),
            paint: Paint { color },
        }
    }

    fn all(&self) -> String {
        let (first, others): (Vec<_>, Vec<_>) = self
            .decisions
            .iter()
            .partition(|d| &d.model == self.recommended);
        let mut blocks: Vec<String> = first.into_iter().map(|d| self.decision(d, true)).collect();
        blocks.push(self.models());
        blocks.push(self.pairs());
        blocks.extend(others.into_iter().map(|d| self.decision(d, false)));
        for candidate in &self.comparison.candidates {
            // Scores from elsewhere have criteria but no categories.
            blocks.push(match self.evaluation {
                Some(_) => self.categories(candidate),
                None => self.criteria(candidate),
            });
            blocks.push(self.safety(candidate));
        }
        blocks.push(self.judges());
        blocks.push(self.human());
        blocks.push(self.pairwise());
        blocks.push(self.terminations());
        blocks.push(self.simulator());
        blocks.push(self.cost());
        blocks.push(self.warnings());
        blocks.retain(|block| !block.is_empty());
        blocks.join("\n")
    }

    /// The headline with its reasons, and for the recommended candidate the next steps.
    fn decision(&self, decision: &Decision, with_next_steps: bool) -> String {
        let words = VerdictText::of(self.comparison, self.evaluation, decision);
        let headline = paragraph(&words.headline, self.width);
        let mut block = self.paint.verdict(decision.verdict, &headline);
        block.push_str(&list(&reasons::reasons(&decision.reasons), self.width));
        if with_next_steps {
            block.push_str(&self.paint.bold("\nNext\n"));
            block.push_str(&list(&words.next_steps, self.width));
        }
        block
    }

    fn categories(&self, candidate: &CandidateComparison) -> String {
        if candidate.categories.is_empty() {
            return String::new();
        }
        let baseline = self.comparison.baseline.as_str();
        let columns = [
            Column::text("Category"),
            Column::number(baseline),
            Column::number(candidate.model.as_str()),
            Column::number("Difference"),
        ];
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
        layout::table(&columns, rows, self.width)
    }

    /// Says what each judge took, and where they agree least.
    fn judges(&self) -> String {
        let Some(judging) = self.evaluation.and_then(|e| e.judging.as_ref()) else {
            return String::new();
        };
        let of = |judge: &JudgeSummary| format!("{}: {}", judge.judge, cost(judge));
        let mut lines: Vec<String> = judging.judges.iter().map(of).collect();
        lines.extend(lowest(judging));
        self.paint.bold("Judges\n") + &list(&lines, self.width)
    }

    /// Says how far judges and people agree, and what people say of the difference.
    fn human(&self) -> String {
        let Some(check) = self.evaluation.and_then(|e| e.human.as_ref()) else {
            return String::new();
        };
        let mut lines = vec![who(check)];
        lines.extend(crate::human_text::lowest(check));
        lines.extend(lowest_alpha(check));
        lines.extend(check.differences.iter().map(differs));
        if !check.conflicts.is_empty() {
            let n = u32::try_from(check.conflicts.len()).unwrap_or(u32::MAX);
            lines.push(format!(
                "{} of grades half of the scale or more apart; the report lists them",
                count(n, "conflict")
            ));
        }
        lines.extend(few(check));
        self.paint.bold("Human check\n") + &list(&lines, self.width)
    }

    /// Says what judges prefer who see both conversations whole, and how they chose.
    fn pairwise(&self) -> String {
        let Some(pairwise) = self.evaluation.and_then(|e| e.pairwise.as_ref()) else {
            return String::new();
        };
        let baseline = &self.comparison.baseline;
        let candidates = pairwise.candidates.iter();
        let mut lines: Vec<String> = candidates.map(|c| compared(c, baseline)).collect();
        lines.extend(pairwise.judges.iter().map(chose));
        self.paint.bold("Pairwise comparison\n") + &list(&lines, self.width)
    }

    /// Says how conversations ended where a model has some that failed or have no score.
    fn terminations(&self) -> String {
        let failed = |t: Termination| !t.is_complete() || t == Termination::ContextLimit;
        let lines: Vec<String> = self
            .comparison
            .models
            .iter()
            .filter(|m| m.missing > 0 || m.terminations.keys().any(|t| failed(*t)))
            .map(|m| {
                let ends: Vec<String> = m
                    .terminations
                    .iter()
                    .map(|(termination, n)| format!("{} {n}", termination.label()))
                    .collect();
                let ends = if ends.is_empty() {
                    String::new()
                } else {
                    format!("; {}", ends.join(", "))
                };
                format!(
                    "{}: {} of {} scored{ends}",
                    m.model,
                    m.scored,
                    count(m.scored + m.missing, "conversation"),
                )
            })
            .collect();
        if lines.is_empty() {
            return String::new();
        }
        self.paint.bold("How conversations ended\n") + &list(&lines, self.width)
    }

    /// Says with which models the simulated people went wrong.
    fn simulator(&self) -> String {
        let models = self.evaluation.map(|e| e.simulator_audit.models.as_slice());
        let flagged = models.unwrap_or_default().iter().filter(|m| m.flagged > 0);
        let lines: Vec<String> = flagged
            .map(|model| {
                let kinds = model.by_kind.iter().filter(|(_, n)| **n > 0);
                let kinds: Vec<String> = kinds
                    .map(|(kind, n)| format!("{} {n}", kind.label()))
                    .collect();
                let left_out = match model.excluded {
                    0 => String::new(),
                    n => format!("; {n} left out"),
                };
                format!(
                    "{}: {} of {} flagged ({}){left_out}",
                    model.model,
                    model.flagged,
                    count(model.conversations, "conversation"),
                    kinds.join(", ")
                )
            })
            .collect();
        if lines.is_empty() {
            return String::new();
        }
        self.paint.bold("Simulated people who went wrong\n") + &list(&lines, self.width)
    }

    fn warnings(&self) -> String {
        let warnings = self.evaluation.map(notices).unwrap_or_default();
        warnings
            .into_iter()
            .map(|warning| {
                let text = format!("WARNING: {warning}");
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
