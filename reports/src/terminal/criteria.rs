//! The table of criteria, for scores from elsewhere: they have no categories.

use shipworthy_schema::{CandidateComparison, CriterionComparison};

use super::Page;
use super::columns::Column;
use super::layout::{paragraph, table};
use crate::inert_text::one_line;
use crate::number_text::{difference, p_value, score};

/// Most criteria shown.
const ROWS: usize = 20;

impl Page<'_> {
    pub(super) fn criteria(&self, candidate: &CandidateComparison) -> String {
        if candidate.criteria.is_empty() {
            return String::new();
        }
        let mut criteria: Vec<&CriterionComparison> = candidate.criteria.iter().collect();
        criteria.sort_by(|a, b| b.difference.abs().total_cmp(&a.difference.abs()));
        let columns = [
            Column::text("Criterion"),
            Column::number(self.comparison.baseline.as_str()),
            Column::number(candidate.model.as_str()),
            Column::number("Difference"),
            Column::number("p (Holm)"),
        ];
        let rows = criteria.iter().take(ROWS).copied().map(row).collect();
        let mut notes = Vec::new();
        match criteria.len().saturating_sub(ROWS) {
            0 => {}
            1 => notes
                .push("1 more criterion, no further apart, stands in the --json output.".into()),
            n => notes.push(format!(
                "{n} more criteria, no further apart, stand in the --json output."
            )),
        }
        if criteria.iter().any(|c| c.p_adjusted.is_some()) {
            notes.push(
                "p (Holm): paired t-test over personas, adjusted for all criteria tested; it \
                 informs and does not decide."
                    .to_owned(),
            );
        }
        let notes: String = notes.iter().map(|n| paragraph(n, self.width)).collect();
        table(&columns, rows, self.width) + &notes
    }
}

fn row(criterion: &CriterionComparison) -> Vec<String> {
    let mark = if criterion.safety { " (safety)" } else { "" };
    vec![
        format!("{}{mark}", one_line(&criterion.criterion)),
        score(criterion.baseline_mean),
        score(criterion.mean),
        difference(criterion.difference),
        criterion
            .p_adjusted
            .map_or_else(|| "untested".to_owned(), p_value),
    ]
}
