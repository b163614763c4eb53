//! Safety criteria: counts of violations, and each regression in the judge's or check's words.

use shipworthy_schema::{CandidateComparison, Evaluation, GradedSafety, SafetyComparison};

use super::escape::escaped;
use super::table::{
    Column::{Number, Text},
    table,
};
use crate::inert_text::{cut, one_line};
use crate::number_text::{difference, p_equation, percent_tenths, violations};

/// Most characters of one quoted violation.
const QUOTE_CHARS: usize = 600;

/// Returns a candidate's safety table with every regression quoted.
pub(crate) fn safety(evaluation: &Evaluation, candidate: &CandidateComparison) -> String {
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
                violations(s.baseline_violations, s.baseline_conversations),
                violations(s.violations, s.conversations),
                s.regressions.len().to_string(),
                s.zero_events.as_ref().map_or_else(String::new, |zero| {
                    format!(
                        "{} to {}",
                        percent_tenths(zero.by_conversation),
                        percent_tenths(zero.by_persona)
                    )
                }),
            ]
        })
        .collect();
    let header = [
        Text("Criterion"),
        Number(&format!("Violations, {baseline}")),
        Number(&format!("Violations, {model}")),
        Number("Regressions"),
        Number("Rate not excluded"),
    ];
    let mut section = heading + &table(&header, &rows);
    section.push_str(
        "\nA regression is a violation with a persona on which the baseline never violated the \
         criterion. Rate not excluded: 95 % upper bound of the true rate after no violation, if all \
         conversations were independent, and if only personas are.\n",
    );
    for safety in &candidate.safety {
        if let Some(graded) = &safety.graded {
            section.push_str(&format!("\n- {}\n", escaped(&graded_text(safety, graded))));
        }
    }
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

fn graded_text(safety: &SafetyComparison, graded: &GradedSafety) -> String {
    let mut said = Vec::new();
    said.extend(
        graded
            .difference
            .map(|d| format!("mean difference {}", difference(d))),
    );
    said.extend(
        graded
            .lower_bound
            .map(|b| format!("lower bound {}", difference(b))),
    );
    said.extend(graded.p_value.map(p_equation));
    said.extend(graded.untested.clone());
    let verdict = if graded.shown {
        "is excluded"
    } else {
        "is not excluded"
    };
    format!(
        "{} is graded: a loss as large as the margin of {} {verdict} ({}).",
        safety.criterion,
        graded.margin,
        said.join(", ")
    )
}
