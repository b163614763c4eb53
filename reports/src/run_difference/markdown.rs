//! Two runs beside each other, in Markdown.

use shipworthy_schema::RunDifference;

use super::{HEADS, caption, fields_text, name_text, notes, rows, run_text, standing};
use crate::markdown::bullets;
use crate::markdown::escape::escaped;
use crate::markdown::table::{
    Column::{Number, Text},
    table,
};

/// Returns two runs beside each other in Markdown: in what they differ, whether they are comparable,
/// and every model's numbers. Names and values are escaped, so that they render as plain text.
pub fn run_difference_markdown(difference: &RunDifference) -> String {
    let [run, other] = difference.runs.each_ref().map(run_text);
    let mut page = format!(
        "# Two runs\n\n{}\n## What differs\n\n",
        bullets(&[format!("Run: {run}"), format!("Other: {other}")])
    );
    if difference.differences.is_empty() {
        page.push_str("Nothing that was planned.\n\n");
    }
    for aspect in &difference.differences {
        let fields = bullets(&fields_text(aspect));
        page.push_str(&format!("{}:\n\n{fields}\n", aspect.aspect.label()));
    }
    page.push_str(&format!("**{}**\n", escaped(&standing(difference))));
    let [measure, run, other, gap, interval] = HEADS;
    let heads = [
        Text(measure),
        Number(run),
        Number(other),
        Number(gap),
        Number(interval),
    ];
    let comparable = difference.incomparable.is_empty();
    for model in &difference.models {
        let mut cells = rows(model, comparable);
        // All but the name of a measure is ours.
        for row in &mut cells {
            row[0] = escaped(&row[0]);
        }
        page.push_str(&format!(
            "\n## {}\n\n{}",
            escaped(&name_text(model)),
            table(&heads, &cells)
        ));
        for note in notes(model, comparable) {
            page.push_str(&format!("\n{}\n", escaped(&note)));
        }
    }
    if let Some(caption) = caption(difference) {
        page.push_str(&format!("\n{}\n", escaped(&caption)));
    }
    page
}
