//! What was found of the models before the run.

use shipworthy_schema::Evaluation;

use super::escape::escaped;
use super::table::{Column::Text, table};

/// Returns the findings; empty where no model was asked anything.
pub(crate) fn preflight(evaluation: &Evaluation) -> String {
    if evaluation.preflight.is_empty() {
        return String::new();
    }
    let header = ["Model", "Looked at", "Found", "Seen"].map(Text);
    let rows: Vec<Vec<String>> = evaluation
        .preflight
        .iter()
        .map(|finding| {
            vec![
                escaped(&finding.model),
                escaped(&finding.check),
                escaped(&finding.status),
                escaped(&finding.detail),
            ]
        })
        .collect();
    format!(
        "## Preflight\n\n{}\nWhat servers were asked before the run relied on them.\n",
        table(&header, &rows)
    )
}
