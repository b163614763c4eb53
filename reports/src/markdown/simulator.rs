//! The simulated people: how often they went wrong, and whether as often with every model.

use shipworthy_schema::{AuditedModel, Evaluation, FlagComparison, SimulatorFlagKind};

use super::escape::escaped;
use super::table::{
    Column::{Number, Text},
    table,
};
use crate::number_text::percent_tenths;

/// Returns the section on simulated people.
pub(crate) fn simulator(evaluation: &Evaluation) -> String {
    let audit = &evaluation.simulator_audit;
    if audit.models.is_empty() {
        return String::new();
    }
    let came_up = |kind: &SimulatorFlagKind| audit.models.iter().any(|m| count_of(m, *kind) > 0);
    let kinds: Vec<SimulatorFlagKind> =
        SimulatorFlagKind::ALL.into_iter().filter(came_up).collect();
    if kinds.is_empty() {
        return "## Simulated people\n\nNo check found anything wrong with them: no role swap, no leaked \
                instructions, no invented fact, no stop without reason, no repetition.\n"
            .to_owned();
    }
    let mut header = vec![Text("Model"), Number("Conversations"), Number("Flagged")];
    header.extend(kinds.iter().map(|kind| Number(kind.label())));
    header.push(Number("Left out"));
    let row = |model: &AuditedModel| {
        let mut row = vec![
            escaped(model.model.as_str()),
            model.conversations.to_string(),
            model.flagged.to_string(),
        ];
        row.extend(kinds.iter().map(|kind| count_of(model, *kind).to_string()));
        row.push(model.excluded.to_string());
        row
    };
    let rows: Vec<Vec<String>> = audit.models.iter().map(row).collect();
    format!(
        "## Simulated people\n\n{}\nConversations in which a check found the simulated person wrong; \
         transcripts.jsonl has the words. {}\n\n{}",
        table(&header, &rows),
        rule(evaluation),
        comparisons(evaluation)
    )
}

fn count_of(model: &AuditedModel, kind: SimulatorFlagKind) -> u32 {
    model.by_kind.get(&kind).copied().unwrap_or(0)
}

fn rule(evaluation: &Evaluation) -> String {
    let excluded: Vec<&str> = evaluation
        .plan
        .simulator_audit
        .exclude
        .iter()
        .map(|kind| kind.label())
        .collect();
    if excluded.is_empty() {
        "The plan leaves none of them out.".to_owned()
    } else {
        format!(
            "The plan leaves out those with {}, whatever the model: they have no score and count as \
             missing.",
            excluded.join(", ")
        )
    }
}

fn comparisons(evaluation: &Evaluation) -> String {
    let row = |compared: &FlagComparison| {
        vec![
            escaped(compared.model.as_str()),
            compared
                .kind
                .map_or("any", SimulatorFlagKind::label)
                .to_owned(),
            percent_tenths(compared.baseline_rate),
            percent_tenths(compared.rate),
            points(compared.difference),
            compared.ci95.map_or_else(
                || "none".to_owned(),
                |[lower, upper]| format!("[{}, {}]", points(lower), points(upper)),
            ),
        ]
    };
    let comparisons = &evaluation.simulator_audit.comparisons;
    let rows: Vec<Vec<String>> = comparisons.iter().map(row).collect();
    let header = [
        Text("Candidate"),
        Text("Flag"),
        Number("Baseline"),
        Number("Candidate"),
        Number("Difference"),
        Number("95 % interval"),
    ];
    format!(
        "{}\nRates are means over personas, differences are percentage points, intervals by t over \
         personas; none where all personas differ by the same.\n",
        table(&header, &rows)
    )
}

/// Returns a difference of rates in percentage points, e.g. `+4.4`.
fn points(difference: f64) -> String {
    let text = format!("{:+.1}", difference * 100.0);
    if text == "-0.0" {
        "+0.0".to_owned()
    } else {
        text
    }
}
