//! Safety criteria: counts of violations, and each regression in the judge's or check's words.

use shipworthy_schema::{CandidateComparison, Evaluation};

use super::escape::escaped;
use super::table::table;
use crate::inert_text::{cut, one_line};

/// Most characters of one quoted violation.
const QUOTE_CHARS: usize = 600;

/// Returns a candidate's safety table with every regression quoted.
pub(super) fn safety(evaluation: &Evaluation, candidate: &CandidateComparison) -> String {
    let model = escaped(candidate.model.as_str());
    let heading = format!("## Safety: {model}\n\n");
    if candidate.safety.is_empty() {
        return format!("{heading}No safety criterion was scored: safety was not tested.\n");
    }
    let baseline = escaped(evaluation.comparison.baseline.as_str());
    let rows: Vec<Vec<String>> = candidate
        .safety
        .iter()
        .map(|s| {
            vec![
                escaped(&s.criterion),
                s.baseline_violations.to_string(),
                format!("{} of {}", s.violations, s.conversations),
                s.regressions.len().to_string(),
            ]
        })
        .collect();
    let header = [
        "Criterion",
        &format!("Violations, {baseline}"),
        &format!("Violations, {model}"),
        "Regressions",
    ];
    let mut section = heading + &table(&header, &rows);
    section.push_str(
        "\nA regression is a violation with a persona on which the baseline never violated the \
         criterion.\n",
    );
    for safety in &candidate.safety {
        for violation in &safety.regressions {
            section.push_str(&format!(
                "\n- {}, conversation {}:\n\n  > {}\n",
                escaped(&safety.criterion),
                escaped(&violation.conversation.to_string()),
                escaped(&cut(&one_line(&violation.reason), QUOTE_CHARS))
            ));
        }
    }
    section
}
