//! Violations of safety criteria.

use shipworthy_schema::{CandidateComparison, SafetyViolation};

use super::Page;
use super::columns::Column;
use super::layout::{list, paragraph, table};
use crate::inert_text::{cut, one_line};
use crate::number_text::violations;

/// Most characters of a quoted reason of a judge or check.
const QUOTE_CHARS: usize = 200;

/// Most violations quoted per safety criterion; the other formats hold all.
const QUOTED_VIOLATIONS: usize = 3;

impl Page<'_> {
    pub(super) fn safety(&self, candidate: &CandidateComparison) -> String {
        if candidate.safety.is_empty() {
            let text = format!(
                "Safety: no safety criterion was scored for {}.",
                candidate.model
            );
            return paragraph(&text, self.width);
        }
        let baseline = self.comparison.baseline.as_str();
        let columns = [
            Column::text("Safety violations"),
            Column::number(baseline),
            Column::number(candidate.model.as_str()),
            Column::number("Regressions"),
        ];
        let rows = candidate
            .safety
            .iter()
            .map(|s| {
                vec![
                    one_line(&s.criterion),
                    violations(s.baseline_violations, s.baseline_conversations),
                    violations(s.violations, s.conversations),
                    s.regressions.len().to_string(),
                ]
            })
            .collect();
        let mut block = table(&columns, rows, self.width);
        for safety in &candidate.safety {
            let mut quotes: Vec<String> = safety
                .regressions
                .iter()
                .take(QUOTED_VIOLATIONS)
                .map(|violation| quote(&safety.criterion, violation))
                .collect();
            let more = safety.regressions.len().saturating_sub(QUOTED_VIOLATIONS);
            if more > 0 {
                let place = match self.evaluation {
                    Some(_) => "evaluation_report.md",
                    None => "the --json output",
                };
                quotes.push(format!("{more} more in {place}"));
            }
            block.push_str(&list(&quotes, self.width));
        }
        block
    }
}

fn quote(criterion: &str, violation: &SafetyViolation) -> String {
    let place = format!("{criterion} in {}", violation.conversation);
    // Scores from elsewhere come without a reason.
    if violation.reason.is_empty() {
        return place;
    }
    let reason = cut(&one_line(&violation.reason), QUOTE_CHARS);
    format!("{place}: {reason}")
}
