//! Candidates held against a shipped model, in Markdown.

use shipworthy_schema::{CandidateRegression, NoWorse, Regression};

use super::bullets;
use super::escape::escaped;
use super::table::{
    Column::{Number, Text},
    table,
};
use crate::number_text::{difference, score};
use crate::regression::{headline, reasons};

/// Returns the verdict of the regression gate in Markdown, for a step summary or a comment: the
/// recommended candidate first, each with its reasons and every tested score. Names are escaped.
pub fn regression_markdown(regression: &Regression) -> String {
    let recommended = regression.recommended();
    let others = regression.candidates.iter();
    let others = others.filter(|candidate| candidate.model != recommended.model);
    let all = std::iter::once(recommended).chain(others);
    let sections: Vec<String> = all
        .map(|candidate| {
            format!(
                "**{}**\n\n{}\n{}",
                escaped(&headline(regression, candidate)),
                bullets(&reasons(candidate)),
                scores(regression, candidate)
            )
        })
        .collect();
    format!("# Regression gate\n\n{}", sections.join("\n"))
}

fn scores(regression: &Regression, candidate: &CandidateRegression) -> String {
    let heads = [&regression.baseline, &candidate.model].map(|model| escaped(model.as_str()));
    let columns = [
        Text("Score"),
        Number(&heads[0]),
        Number(&heads[1]),
        Number("Difference"),
        Number("Lower bound"),
        Number("Margin"),
        Text("No worse"),
    ];
    let optional =
        |value: Option<f64>, text: fn(f64) -> String| value.map_or_else(|| "none".to_owned(), text);
    let row = |one: &NoWorse| {
        vec![
            one.criterion
                .as_deref()
                .map_or_else(|| "overall".to_owned(), escaped),
            optional(one.baseline_mean, score),
            optional(one.mean, score),
            optional(one.difference, difference),
            optional(one.lower_bound, difference),
            score(one.margin),
            if one.shown { "shown" } else { "not shown" }.to_owned(),
        ]
    };
    let all = std::iter::once(&candidate.overall).chain(&candidate.criteria);
    table(&columns, &all.map(row).collect::<Vec<_>>())
}
