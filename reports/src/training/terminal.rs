//! The summary of a training run for a terminal.

use shipworthy_schema::TrainingReport;

use super::next_steps::{NextStep, next_steps};
use super::summary::{device, headline, memory_rows, metric_rows};
use super::warning_text::training_warning_text;
use crate::terminal::columns::Column;
use crate::terminal::layout::{Paint, list, paragraph, table};

/// Returns how a training run went, for a terminal of `width` columns (60 and up; wider than 100 stays
/// unused): the ending, warnings, metrics, memory predicted and measured, and what to do next.
///
/// `color` adds ANSI colours; no meaning rests on them. Paths, names and errors are shown without their
/// control characters; commands longer than a line are continued as a shell reads them.
pub fn training_terminal(report: &TrainingReport, width: usize, color: bool) -> String {
    let width = width.clamp(60, 100);
    let paint = Paint { color };
    let mut text = paint.bold(&paragraph(&headline(report), width));
    for warning in &report.warnings {
        let warning = format!("warning: {}", training_warning_text(warning));
        text.push_str(&paint.warning(&paragraph(&warning, width)));
    }
    let metrics = [Column::text("Metric"), Column::number("Value")];
    text.push('\n');
    text.push_str(&table(&metrics, rows(metric_rows(report)), width));
    let memory_of = format!("Memory of {}", device(report));
    let memory = [
        Column::text(memory_of.as_str()),
        Column::number("Predicted"),
        Column::number("Measured"),
    ];
    text.push('\n');
    text.push_str(&table(&memory, rows(memory_rows(report)), width));
    text.push('\n');
    text.push_str(&paint.bold("Next\n"));
    for step in next_steps(report) {
        text.push_str(&list(std::slice::from_ref(&step.text), width));
        text.push_str(&command(&step, width));
    }
    text
}

fn rows<const N: usize>(rows: Vec<[String; N]>) -> Vec<Vec<String>> {
    rows.into_iter().map(Vec::from).collect()
}

/// Returns the command, indented, broken between its parts where it would leave the line.
fn command(step: &NextStep, width: usize) -> String {
    const INDENT: &str = "      ";
    let mut text = String::from(INDENT);
    let mut used = INDENT.len();
    for (idx, part) in step.command.iter().enumerate() {
        let length = part.chars().count();
        // Two more for the mark that the command goes on.
        if idx > 0 && used + 1 + length + 2 > width {
            text.push_str(&format!(" \\\n{INDENT}  {part}"));
            used = INDENT.len() + 2 + length;
        } else if idx > 0 {
            text.push_str(&format!(" {part}"));
            used += 1 + length;
        } else {
            text.push_str(part);
            used += length;
        }
    }
    text + "\n"
}
