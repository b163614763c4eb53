//! Result tables: models, categories, criteria, terminations.

use shipworthy_schema::{CandidateComparison, Evaluation, ModelSummary, Termination};

use super::escape::escaped;
use super::table::{
    Column::{Number, Text},
    table,
};
use crate::number_text::{count, difference, interval, p_value, percent, score};

/// Returns the table of all models.
pub(crate) fn models(evaluation: &Evaluation) -> String {
    let header = [
        Text("Model"),
        Number("Mean score"),
        Number("Pass rate"),
        Number("Scored"),
        Number("Difference"),
        Number("95 % interval"),
        Number("t"),
        Number("df"),
        Number("p"),
        Text("Verdict"),
    ];
    let rows: Vec<Vec<String>> = evaluation
        .comparison
        .models
        .iter()
        .map(|summary| model_row(evaluation, summary))
        .collect();
    format!(
        "## Results\n\n{}\nMean score: mean over persona means, each in 0 to 1. Difference: model \
         minus {}, paired by persona ({}). p: two-sided{}. Test: {}.\n",
        table(&header, &rows),
        escaped(evaluation.comparison.baseline.as_str()),
        count(evaluation.plan.personas.count, "persona"),
        if evaluation.comparison.candidates.len() > 1 {
            ", adjusted for all candidates by Holm"
        } else {
            ""
        },
        escaped(&evaluation.plan.test)
    )
}

fn model_row(evaluation: &Evaluation, summary: &ModelSummary) -> Vec<String> {
    let mut row = vec![escaped(summary.model.as_str())];
    if summary.scored > 0 {
        row.extend([score(summary.mean), percent(summary.pass_rate)]);
    } else {
        row.extend(["no score".to_owned(), "no score".to_owned()]);
    }
    row.push(format!(
        "{} of {}",
        summary.scored,
        summary.scored + summary.missing
    ));
    let candidates = &evaluation.comparison.candidates;
    match candidates.iter().find(|c| c.model == summary.model) {
        Some(c) => row.extend([
            difference(c.difference),
            interval(c.ci95),
            format!("{:.2}", c.t),
            c.df.to_string(),
            p_cell(c.p_adjusted),
        ]),
        None => row.extend(std::iter::repeat_n(String::new(), 5)),
    }
    let decision = evaluation
        .decisions
        .iter()
        .find(|d| d.model == summary.model);
    row.push(decision.map_or_else(
        || "baseline".to_owned(),
        |d| format!("**{}**", d.verdict.label()),
    ));
    row
}

/// Returns a candidate's table of categories.
pub(crate) fn categories(evaluation: &Evaluation, candidate: &CandidateComparison) -> String {
    if candidate.categories.is_empty() {
        return String::new();
    }
    let baseline = escaped(evaluation.comparison.baseline.as_str());
    let model = escaped(candidate.model.as_str());
    let rows: Vec<Vec<String>> = candidate
        .categories
        .iter()
        .map(|c| {
            vec![
                escaped(&c.category),
                score(c.baseline_mean),
                score(c.mean),
                difference(c.difference),
            ]
        })
        .collect();
    let header = [
        Text("Category"),
        Number(&baseline),
        Number(&model),
        Number("Difference"),
    ];
    format!("## Categories: {model}\n\n{}", table(&header, &rows))
}

/// Returns a candidate's table of criteria.
pub(crate) fn criteria(evaluation: &Evaluation, candidate: &CandidateComparison) -> String {
    if candidate.criteria.is_empty() {
        return String::new();
    }
    let baseline = escaped(evaluation.comparison.baseline.as_str());
    let model = escaped(candidate.model.as_str());
    let untested = "no test";
    let rows: Vec<Vec<String>> = candidate
        .criteria
        .iter()
        .map(|c| {
            let mark = if c.safety { " (safety)" } else { "" };
            vec![
                format!("{}{mark}", escaped(&c.criterion)),
                escaped(&c.category),
                c.personas.to_string(),
                score(c.baseline_mean),
                score(c.mean),
                difference(c.difference),
                c.p_value.map_or_else(|| untested.to_owned(), p_cell),
                c.p_adjusted.map_or_else(|| untested.to_owned(), p_cell),
            ]
        })
        .collect();
    let header = [
        Text("Criterion"),
        Text("Category"),
        Number("Personas"),
        Number(&baseline),
        Number(&model),
        Number("Difference"),
        Number("p"),
        Number("p adjusted"),
    ];
    let mut section = format!(
        "## Criteria: {model}\n\n{}\nCriteria are secondary: they inform and do not decide. p: \
         paired t-test over personas; adjusted for all tested criteria by Holm.\n",
        table(&header, &rows)
    );
    for criterion in &candidate.criteria {
        if let Some(why) = &criterion.untested {
            let (criterion, why) = (escaped(&criterion.criterion), escaped(why));
            section.push_str(&format!("\n- No test of {criterion}: {why}.\n"));
        }
    }
    section
}

/// Returns a p value for a table cell.
pub(super) fn p_cell(p: f64) -> String {
    p_value(p).replace('<', "&lt;")
}

/// Returns how each model's conversations ended and how many have no score; terminations that never
/// came up are left out.
pub(crate) fn terminations(evaluation: &Evaluation) -> String {
    let models = &evaluation.comparison.models;
    let n_ended = |m: &ModelSummary, t: Termination| m.terminations.get(&t).copied().unwrap_or(0);
    let came_up: Vec<Termination> = Termination::ALL
        .into_iter()
        .filter(|&t| models.iter().any(|m| n_ended(m, t) > 0))
        .collect();
    let mut header = vec![Text("Model")];
    header.extend(came_up.iter().map(|t| Number(t.label())));
    header.extend(["Without a score", "Turns (mean)", "Words per reply (mean)"].map(Number));
    let tenths = |mean: Option<f64>| mean.map_or_else(|| "none".to_owned(), |m| format!("{m:.1}"));
    let rows: Vec<Vec<String>> = models
        .iter()
        .map(|m| {
            let mut row = vec![escaped(m.model.as_str())];
            row.extend(came_up.iter().map(|&t| n_ended(m, t).to_string()));
            row.push(format!("{} of {}", m.missing, m.scored + m.missing));
            row.push(tenths(m.mean_turns));
            row.push(tenths(m.mean_reply_words));
            row
        })
        .collect();
    format!("## How conversations ended\n\n{}", table(&header, &rows))
}
