//! The human check: judges against people who did not know the models.

use shipworthy_schema::{Evaluation, HumanAgreement, HumanCheck, HumanConflict, HumanDifference};

use super::escape::escaped;
use super::table::{
    Column::{Number, Text},
    table,
};
use crate::human_text::{coefficient, estimate, few, who};
use crate::number_text::{difference, percent};

/// Conflicts shown here; all of them are in decision.json.
const SHOWN_CONFLICTS: usize = 20;

/// Returns the section on people's labels; empty without any.
pub(crate) fn human(evaluation: &Evaluation) -> String {
    let Some(check) = &evaluation.human else {
        return String::new();
    };
    let few = few(check).map_or_else(String::new, |few| format!("{few}\n\n"));
    format!(
        "## Human check\n\n{}. Nobody saw which model spoke.\n\n{few}{}\nKappa: Cohen's between the judges' \
         grade and each person's, with quadratic weights for levels; 1 is full agreement, 0 what chance \
         gives; poor below 0.4, unless 90 % of the pairs are equal. AC1: Gwet's, which holds where one \
         grade prevails. Alpha: Krippendorff's of people with each other. Intervals: 95 %, bootstrap over \
         personas.\n{}{}",
        escaped(&who(check)),
        agreement(&check.criteria),
        differences(&check.differences),
        conflicts(check)
    )
}

fn agreement(criteria: &[HumanAgreement]) -> String {
    let header = [
        Text("Criterion"),
        Number("Pairs"),
        Number("Equal"),
        Number("Kappa"),
        Number("AC1"),
        Number("Shared"),
        Number("Alpha"),
    ];
    let row = |c: &HumanAgreement| {
        let mark = if c.is_poor { " **poor**" } else { "" };
        vec![
            escaped(&c.criterion),
            c.pairs.to_string(),
            c.equal.map_or_else(|| "none".to_owned(), percent),
            format!("{}{mark}", coefficient(c.kappa, c.kappa_ci95)),
            coefficient(c.ac1, None),
            c.shared.to_string(),
            coefficient(c.alpha, c.alpha_ci95),
        ]
    };
    let rows: Vec<Vec<String>> = criteria.iter().map(row).collect();
    table(&header, &rows)
}

fn differences(differences: &[HumanDifference]) -> String {
    if differences.is_empty() {
        return String::new();
    }
    let header = [
        Text("Candidate"),
        Number("Labelled personas"),
        Number("By people"),
        Number("By the run's scores"),
        Number("All personas, by the judges"),
        Number("All personas, corrected"),
    ];
    let row = |d: &HumanDifference| {
        let corrected = d.corrected.map(|value| estimate(value, d.corrected_ci95));
        vec![
            escaped(d.model.as_str()),
            d.labelled.to_string(),
            estimate(d.human, d.human_ci95),
            difference(d.judged),
            difference(d.judged_of_all),
            corrected.unwrap_or_else(|| "none".to_owned()),
        ]
    };
    let rows: Vec<Vec<String>> = differences.iter().map(row).collect();
    format!(
        "\n{}\nDifference to the baseline in the overall score, with people's grades in place of the judges' \
         on the labelled personas. Corrected: the judges' difference over all personas plus the mean by \
         which people's differ from it on the labelled ones (prediction-powered), with a 95 % interval. \
         It stands beside the verdict and decides nothing.\n",
        table(&header, &rows)
    )
}

fn conflicts(check: &HumanCheck) -> String {
    if check.conflicts.is_empty() {
        return "\nNo two grades of a criterion are half of its scale apart.\n".to_owned();
    }
    let header = [
        Text("Conversation"),
        Text("Criterion"),
        Number("Judges"),
        Text("People"),
    ];
    let row = |c: &HumanConflict| {
        let people = c.people.iter();
        let people: Vec<String> = people
            .map(|p| format!("{} {:.2}", p.rater, p.value))
            .collect();
        vec![
            escaped(&c.conversation.to_string()),
            escaped(&c.criterion),
            c.judged
                .map_or_else(|| "none".to_owned(), |value| format!("{value:.2}")),
            escaped(&people.join(", ")),
        ]
    };
    let shown = check.conflicts.iter().take(SHOWN_CONFLICTS);
    let rows: Vec<Vec<String>> = shown.map(row).collect();
    let more = match check.conflicts.len().saturating_sub(SHOWN_CONFLICTS) {
        0 => String::new(),
        n => format!(" {n} more are in decision.json."),
    };
    format!(
        "\n### Conflicts\n\n{}\nGrades half of the scale or more apart, the widest first; 1 is best.{more}\n",
        table(&header, &rows)
    )
}
