//! All models, best first, and which of them are not told apart.

use shipworthy_schema::{Evaluation, ModelName};

use super::escape::escaped;
use super::results::p_cell;
use super::table::{
    Column::{Number, Text},
    table,
};
use crate::number_text::{difference, score};

/// Returns the ranking, where there are more models than one pair.
pub(crate) fn ranking(evaluation: &Evaluation) -> String {
    let ranking = &evaluation.comparison.ranking;
    if ranking.models.len() < 3 {
        return String::new();
    }
    let names = |models: &[ModelName], between: &str| {
        let names: Vec<String> = models.iter().map(|m| escaped(m.as_str())).collect();
        names.join(between)
    };
    let rows: Vec<Vec<String>> = ranking
        .models
        .iter()
        .map(|model| {
            vec![
                escaped(model.model.as_str()),
                model.rank.to_string(),
                score(model.mean),
                names(&model.tied_with, ", "),
            ]
        })
        .collect();
    let header = [
        Text("Model"),
        Number("Rank"),
        Number("Mean score"),
        Text("Not told apart from"),
    ];
    let sets: Vec<String> = ranking
        .tied_sets
        .iter()
        .map(|set| names(set, " = "))
        .collect();
    let mut section = format!(
        "## Ranking\n\n{}\nRank: 1 + the number of models shown to be better. Tied sets: {}. Every \
         pair is tested by the paired t-test at level {}, adjusted for all pairs by Holm; not told \
         apart does not mean equal.\n\n",
        table(&header, &rows),
        sets.join("; "),
        ranking.alpha
    );
    let rows: Vec<Vec<String>> = ranking
        .pairs
        .iter()
        .map(|pair| {
            let untested = || "no test".to_owned();
            vec![
                format!(
                    "{} − {}",
                    escaped(pair.higher.as_str()),
                    escaped(pair.lower.as_str())
                ),
                difference(pair.difference),
                pair.p_value.map_or_else(untested, p_cell),
                pair.p_adjusted.map_or_else(untested, p_cell),
            ]
        })
        .collect();
    let header = [
        Text("Pair"),
        Number("Difference"),
        Number("p"),
        Number("p adjusted"),
    ];
    section.push_str(&table(&header, &rows));
    section
}
