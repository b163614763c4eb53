//! The report for a terminal.

mod layout;

use shipworthy_schema::{
    CandidateComparison, Comparison, Decision, Evaluation, ModelName, ModelSummary, Termination,
    Verdict,
};

use crate::inert_text::{cut, one_line};
use crate::notices::notices;
use crate::number_text::{count, difference, interval, p_equation, p_value, percent, score};
use crate::verdict_text::VerdictText;
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
    layout::table(&heads, N, cells, width)
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
        blocks.extend(others.into_iter().map(|d| self.decision(d, false)));
        for candidate in &self.comparison.candidates {
            blocks.push(self.categories(candidate));
            blocks.push(self.safety(candidate));
        }
        blocks.push(self.terminations());
        blocks.push(self.warnings());
        blocks.retain(|block| !block.is_empty());
        blocks.join("\n")
    }

    /// The headline with its reasons, and for the recommended candidate the next steps.
    fn decision(&self, decision: &Decision, with_next_steps: bool) -> String {
        let words = VerdictText::of(self.comparison, self.evaluation, decision);
        let headline = paragraph(&words.headline, self.width);
        let mut block = self.paint.verdict(decision.verdict, &headline);
        block.push_str(&list(&words.reasons, self.width));
        if with_next_steps {
            block.push_str(&self.paint.bold("\nNext\n"));
            block.push_str(&list(&words.next_steps, self.width));
        }
        block
    }

    fn models(&self) -> String {
        let comparison = self.comparison;
        let header = ["Model", "Verdict", "Mean", "Pass", "Difference", "p"];
        let rows = comparison
            .models
            .iter()
            .map(|summary| self.model_row(summary))
            .collect();
        let candidates = comparison.candidates.len();
        let adjusted = if candidates > 1 {
            format!(" p is adjusted for {candidates} candidates.")
        } else {
            String::new()
        };
        let personas = comparison.candidates.first().map_or(0, |c| c.personas);
        let caption = format!(
            "Difference: mean over {}, candidate minus {}, with its 95 % interval.{adjusted}",
            count(personas, "persona"),
            comparison.baseline
        );
        let mut block =
            layout::table(&header, 2, rows, self.width) + &paragraph(&caption, self.width);
        for candidate in &comparison.candidates {
            block.push_str(&paragraph(&other_tests(candidate), self.width));
        }
        block + &self.ties()
    }

    /// Says which models are not told apart, where there is more than one pair.
    fn ties(&self) -> String {
        let ranking = &self.comparison.ranking;
        if ranking.models.len() < 3 {
            return String::new();
        }
        let sets: Vec<String> = ranking
            .tied_sets
            .iter()
            .map(|set| {
                let names: Vec<&str> = set.iter().map(ModelName::as_str).collect();
                names.join(" = ")
            })
            .collect();
        let text = format!(
            "Best first, = where not told apart at level {}: {}.",
            ranking.alpha,
            sets.join("; ")
        );
        paragraph(&text, self.width)
    }

    fn model_row(&self, summary: &ModelSummary) -> Vec<String> {
        let mut candidates = self.comparison.candidates.iter();
        let compared = candidates.find(|c| c.model == summary.model);
        let mut decisions = self.decisions.iter();
        let verdict = decisions
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
            compared.map_or_else(String::new, |c| p_value(c.p_adjusted)),
        ]
    }

    fn categories(&self, candidate: &CandidateComparison) -> String {
        if candidate.categories.is_empty() {
            return String::new();
        }
        let baseline = self.comparison.baseline.as_str();
        let header = ["Category", baseline, candidate.model.as_str(), "Difference"];
        let rows = candidate
            .categories
            .iter()
            .map(|c| {
                vec![
                    c.category.clone(),
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
        let baseline = self.comparison.baseline.as_str();
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
                    s.criterion.clone(),
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

/// Says what the other tests and estimates come to, in one line or two.
fn other_tests(candidate: &CandidateComparison) -> String {
    let mut said = vec![format!("sign-flip {}", p_equation(candidate.sign_flip_p))];
    said.extend(
        candidate
            .wilcoxon_p
            .map(|p| format!("Wilcoxon {}", p_equation(p))),
    );
    said.extend(
        candidate
            .bootstrap_ci95
            .map(|ci| format!("bootstrap {}", interval(ci))),
    );
    said.push(format!("d_z {:.2}", candidate.cohens_dz));
    said.extend(candidate.icc.map(|icc| format!("ICC {icc:.2}")));
    let smallest = candidate.mde80.map(|gain| {
        let gain = score(gain);
        format!("smallest gain found with 80 % power {gain}")
    });
    said.extend(smallest);
    format!("{}: {}.", candidate.model, said.join(", "))
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
