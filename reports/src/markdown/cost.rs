//! What the calls took.

use shipworthy_schema::Evaluation;

use super::escape::escaped;
use super::table::{
    Column::{Number, Text},
    table,
};
use crate::cost_text::{Columns, heads, is_at_least, rows};

/// Returns the section on cost; empty where no call is known.
pub(crate) fn cost(evaluation: &Evaluation) -> String {
    let cost = &evaluation.cost;
    if cost.parts.is_empty() {
        return String::new();
    }
    let mut header = vec![Text("Who")];
    let heads = heads(cost, Columns::All);
    header.extend(heads.iter().map(|head| Number(head)));
    let rows = rows(cost, Columns::All).into_iter().map(|row| {
        let mut cells = vec![escaped(&row.who)];
        cells.extend(row.numbers);
        cells
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let least = if is_at_least(cost) {
        " ≥: some replies do not count their tokens or have no price, so it is at least that."
    } else {
        ""
    };
    format!(
        "## Cost\n\n{}\nRead, cached, written, reasoning: tokens. Counted from stored replies; tries that failed are not \
         among them.{least}\n",
        table(&header, &rows)
    )
}
