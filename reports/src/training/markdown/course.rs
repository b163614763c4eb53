//! The course of the loss: pictures, and tables beside what is usual.

use shipworthy_schema::{TrainingLogEntry, TrainingReport};

use super::super::summary::{epochs, last_loss};
use crate::markdown::table::{Column, table};
use crate::number_text::{grouped, loss, significant};

/// Most rows of the table of the course.
const MOST_ROWS: usize = 24;

/// What a loss in a range usually means in fine-tuning on conversations; ranges from the highest.
const MEANINGS: [(f64, &str, &str); 5] = [
    (3.0, "above 3", "confused: replies are incoherent"),
    (
        2.0,
        "2 to 3",
        "the form is being learnt; usual at the start",
    ),
    (1.5, "1.5 to 2", "coherent, the style is taken up"),
    (1.0, "1 to 1.5", "the style is well met"),
    (
        f64::NEG_INFINITY,
        "below 1",
        "well met, or memorised: the evaluation loss tells which",
    ),
];

/// Returns the curves and their numbers; without any loss, that there is none.
pub(super) fn course(report: &TrainingReport) -> String {
    let log = &report.log;
    let has = |value: fn(&TrainingLogEntry) -> Option<f64>| {
        let mut values = log.iter().filter_map(value);
        values.any(f64::is_finite)
    };
    let has_eval = has(|entry| entry.eval_loss);
    if !has_eval && !has(|entry| entry.loss) {
        return "## Course\n\nNo loss was logged.\n".to_owned();
    }
    let mut section = "## Course\n\n![Loss over steps](loss.svg)\n".to_owned();
    if has(|entry| entry.learning_rate) {
        section.push_str("\n![Learning rate over steps](learning_rate.svg)\n");
    }
    section.push_str(&format!(
        "\n{}\n{}",
        if has_eval {
            evaluations(report)
        } else {
            entries(log)
        },
        meanings(report)
    ));
    section
}

/// Every evaluation with the mean training loss since the one before; the best stands out.
fn evaluations(report: &TrainingReport) -> String {
    let mut rows = Vec::new();
    let mut losses: Vec<f64> = Vec::new();
    let mut best_idx = 0;
    for entry in &report.log {
        losses.extend(entry.loss);
        let Some(eval_loss) = entry.eval_loss else {
            continue;
        };
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        let is_best = report
            .best
            .as_ref()
            .is_some_and(|best| best.step == entry.step);
        if is_best {
            best_idx = rows.len();
        }
        let strong = |text: String| if is_best { format!("**{text}**") } else { text };
        rows.push(vec![
            strong(grouped(entry.step)),
            epochs(entry.epoch),
            if losses.is_empty() {
                String::new()
            } else {
                loss(mean)
            },
            strong(loss(eval_loss)),
        ]);
        losses.clear();
    }
    let columns = [
        Column::Number("Step"),
        Column::Number("Epoch"),
        Column::Number("Training loss, mean since the last row"),
        Column::Number("Evaluation loss"),
    ];
    table(&columns, &kept(rows, best_idx))
}

fn entries(log: &[TrainingLogEntry]) -> String {
    let row = |entry: &TrainingLogEntry| {
        Some(vec![
            grouped(entry.step),
            epochs(entry.epoch),
            loss(entry.loss?),
            entry.grad_norm.map(loss).unwrap_or_default(),
            entry.learning_rate.map(significant).unwrap_or_default(),
        ])
    };
    let columns = [
        Column::Number("Step"),
        Column::Number("Epoch"),
        Column::Number("Training loss"),
        Column::Number("Gradient norm"),
        Column::Number("Learning rate"),
    ];
    table(&columns, &kept(log.iter().filter_map(row).collect(), 0))
}

/// Returns so many rows as can be read, evenly chosen, with the first, the last and `always`.
fn kept(rows: Vec<Vec<String>>, always: usize) -> Vec<Vec<String>> {
    let last = rows.len().saturating_sub(1);
    let every = rows.len().div_ceil(MOST_ROWS).max(1);
    let is_kept = |idx: usize| idx.is_multiple_of(every) || idx == last || idx == always;
    let numbered = rows.into_iter().enumerate();
    numbered
        .filter(|(idx, _)| is_kept(*idx))
        .map(|(_, row)| row)
        .collect()
}

/// Says what losses usually mean, and which of it is this run's.
fn meanings(report: &TrainingReport) -> String {
    let training = last_loss(&report.log);
    let eval = report.best.as_ref().map(|best| best.eval_loss);
    let in_range = |value: Option<f64>, idx: usize| {
        value.is_some_and(|value| {
            let place = MEANINGS.iter().position(|(low, ..)| value >= *low);
            place == Some(idx)
        })
    };
    let rows: Vec<Vec<String>> = MEANINGS
        .iter()
        .enumerate()
        .map(|(idx, (_, range, meaning))| {
            let mut here = Vec::new();
            if in_range(training, idx) {
                here.extend(training.map(|value| format!("training, {}", loss(value))));
            }
            if in_range(eval, idx) {
                here.extend(eval.map(|value| format!("evaluation, {}", loss(value))));
            }
            vec![(*range).to_owned(), (*meaning).to_owned(), here.join("; ")]
        })
        .collect();
    let columns = [
        Column::Text("Loss"),
        Column::Text("What it usually means"),
        Column::Text("This run in the end"),
    ];
    format!(
        "{}\nUsual course: 2 to 3 at the start, 1.5 to 2 after the first epoch, 1 to 1.5 after the \
         second, 0.8 to 1.2 after the third. Losses of models with other tokenizers or other data \
         cannot be compared.\n",
        table(&columns, &rows)
    )
}
