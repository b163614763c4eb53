//! Two runs beside each other, for a terminal.

use shipworthy_schema::{ModelDifference, RunDifference};

use super::{HEADS, caption, fields_text, name_text, notes, rows, run_text, standing};
use crate::inert_text::one_line;
use crate::terminal::columns::Column;
use crate::terminal::layout::{Paint, list, paragraph, table};

/// Returns two runs beside each other for a terminal of `width` columns (60 and up; wider than 100
/// stays unused): in what they differ, whether they are comparable, and every model's numbers.
///
/// `color` adds ANSI colours; no meaning rests on them. Names are shown without control characters.
pub fn run_difference_terminal(difference: &RunDifference, width: usize, color: bool) -> String {
    let (width, paint) = (width.clamp(60, 100), Paint { color });
    let [run, other] = difference.runs.each_ref().map(run_text);
    let mut blocks = vec![
        paragraph(&format!("Run: {run}"), width) + &paragraph(&format!("Other: {other}"), width),
    ];
    let mut explained = paint.bold("What differs\n");
    if difference.differences.is_empty() {
        explained.push_str("  nothing that was planned\n");
    }
    for aspect in &difference.differences {
        explained.push_str(&format!("{}:\n", aspect.aspect.label()));
        explained.push_str(&list(&fields_text(aspect), width));
    }
    blocks.push(explained);
    blocks.push(paragraph(&standing(difference), width));
    let comparable = difference.incomparable.is_empty();
    let models = difference.models.iter();
    blocks.extend(models.map(|model| of_model(model, comparable, width, paint)));
    blocks.extend(caption(difference).map(|caption| paragraph(&caption, width)));
    blocks.join("\n")
}

fn of_model(model: &ModelDifference, comparable: bool, width: usize, paint: Paint) -> String {
    let [measure, run, other, gap, interval] = HEADS;
    let mut columns = vec![
        Column::text(measure),
        Column::number(run),
        Column::number(other),
    ];
    let mut cells = rows(model, comparable);
    let has_difference = cells.iter().any(|row| !row[3].is_empty());
    if has_difference {
        columns.extend([Column::number(gap), Column::number(interval)]);
    } else {
        for row in &mut cells {
            row.truncate(3);
        }
    }
    let notes: String = notes(model, comparable)
        .iter()
        .map(|note| paragraph(note, width))
        .collect();
    let name = paint.bold(&(one_line(&name_text(model)) + "\n"));
    name + &table(&columns, cells, width) + &notes
}
