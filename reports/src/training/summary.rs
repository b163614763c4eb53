//! What the report says first, and its tables' rows; each format makes them safe for itself.

use shipworthy_schema::{TrainingDataReport, TrainingEnding, TrainingLogEntry, TrainingReport};

use crate::number_text::{bytes, duration, grouped, loss, percent, rate};

/// Returns how the run ended, in one sentence or two, the ending in capitals.
pub(super) fn headline(report: &TrainingReport) -> String {
    let done = format!(
        "{} steps, {} epochs, {}",
        grouped(report.metrics.global_step),
        epochs(report.metrics.epoch),
        duration(report.metrics.train_runtime)
    );
    let outcome = match (&report.best, last_loss(&report.log)) {
        (Some(best), _) => format!(
            " Lowest evaluation loss: {} at step {}.",
            loss(best.eval_loss),
            grouped(best.step)
        ),
        (None, Some(value)) => format!(" Training loss in the end: {}.", loss(value)),
        (None, None) => String::new(),
    };
    match &report.ending {
        TrainingEnding::Finished => format!("FINISHED: {done}.{outcome}"),
        TrainingEnding::EarlyStopping { patience } => format!(
            "STOPPED EARLY: {done}. The evaluation loss had not fallen in {patience} \
             evaluations.{outcome}"
        ),
        TrainingEnding::Interrupted { checkpoint } => {
            let resume = checkpoint
                .as_ref()
                .map_or(String::new(), |path| format!(" It can go on from {path}."));
            format!("INTERRUPTED: {done}.{resume}{outcome}")
        }
        TrainingEnding::Failed { error, example } => {
            let at = example
                .as_ref()
                .map_or(String::new(), |id| format!(" (example {id})"));
            format!("FAILED: {error}{at}. Done before: {done}.")
        }
    }
}

/// Returns what the run came to: name and value.
pub(super) fn metric_rows(report: &TrainingReport) -> Vec<[String; 2]> {
    let metrics = &report.metrics;
    let evals: Vec<f64> = report
        .log
        .iter()
        .filter_map(|entry| entry.eval_loss)
        .collect();
    let share = report.trainable_parameters as f64 / (report.total_parameters.max(1)) as f64;
    let rows = [
        ("Training loss, first", first_loss(&report.log).map(loss)),
        ("Training loss, last", last_loss(&report.log).map(loss)),
        (
            "Training loss, mean of all steps",
            metrics.train_loss.map(loss),
        ),
        ("Evaluation loss, first", evals.first().copied().map(loss)),
        (
            "Evaluation loss, best",
            report
                .best
                .as_ref()
                .map(|best| format!("{} (step {})", loss(best.eval_loss), grouped(best.step))),
        ),
        ("Evaluation loss, last", evals.last().copied().map(loss)),
        ("Steps", Some(grouped(metrics.global_step))),
        ("Epochs", Some(epochs(metrics.epoch))),
        ("Tokens read", Some(grouped(metrics.num_input_tokens_seen))),
        (
            "Tokens with a label",
            Some(grouped(metrics.num_labelled_tokens_seen)),
        ),
        ("Time", Some(duration(metrics.train_runtime))),
        ("Tokens a second", metrics.train_tokens_per_second.map(rate)),
        (
            "Examples a second",
            metrics.train_samples_per_second.map(rate),
        ),
        ("Steps a second", metrics.train_steps_per_second.map(rate)),
        ("Peak memory", report.memory.measured_peak_bytes.map(bytes)),
        (
            "Trained parameters",
            Some(format!(
                "{} of {} ({:.2} %)",
                grouped(report.trainable_parameters),
                grouped(report.total_parameters),
                share * 100.0
            )),
        ),
    ];
    let known = rows.into_iter();
    known
        .filter_map(|(name, value)| Some([name.to_owned(), value?]))
        .collect()
}

/// Returns what the data came to: name, training, held out (empty without).
pub(super) fn data_rows(report: &TrainingReport) -> Vec<[String; 3]> {
    type Cell = fn(&TrainingDataReport) -> String;
    let rows: [(&str, Cell); 8] = [
        ("Examples", |data| grouped(data.examples)),
        ("Tokens", |data| grouped(data.tokens.total)),
        ("Tokens of an example: half have at most", |data| {
            grouped(data.tokens.p50)
        }),
        ("95 of 100 have at most", |data| grouped(data.tokens.p95)),
        ("the longest has", |data| grouped(data.tokens.max)),
        ("Tokens with a label", |data| {
            let share = data.labelled_tokens as f64 / data.tokens.total.max(1) as f64;
            format!("{} ({})", grouped(data.labelled_tokens), percent(share))
        }),
        ("Examples left out, cut off", |data| {
            format!(
                "{}, {}",
                grouped(data.examples_lost),
                grouped(data.examples_truncated)
            )
        }),
        ("Tokens lost with them", |data| grouped(data.tokens_lost)),
    ];
    let held_out = |cell: Cell| report.eval_data.as_ref().map(cell).unwrap_or_default();
    let mut rows: Vec<[String; 3]> = rows
        .into_iter()
        .map(|(name, cell)| [name.to_owned(), cell(&report.data), held_out(cell)])
        .collect();
    if let Some(packed) = report.data.packed_rows {
        rows.push([
            "Rows after packing".to_owned(),
            grouped(packed),
            String::new(),
        ]);
    }
    rows
}

/// Returns memory at the peak: part, predicted, measured; the sum last.
pub(super) fn memory_rows(report: &TrainingReport) -> Vec<[String; 3]> {
    let memory = &report.memory;
    let cell = |n: Option<u64>| n.map(bytes).unwrap_or_default();
    let parts = memory.parts.iter().map(|one| {
        [
            one.part.clone(),
            cell(one.predicted_bytes),
            cell(one.measured_bytes),
        ]
    });
    let peak = [
        "Peak".to_owned(),
        bytes(memory.predicted_peak_bytes),
        cell(memory.measured_peak_bytes),
    ];
    parts.chain([peak]).collect()
}

/// Returns what the memory is of, e.g. `NVIDIA H200, 139.80 GiB`, unescaped.
pub(super) fn device(report: &TrainingReport) -> String {
    let memory = &report.memory;
    match memory.capacity_bytes {
        Some(capacity) => format!("{}, {}", memory.device, bytes(capacity)),
        None => memory.device.clone(),
    }
}

/// Returns a number of epochs, e.g. `3` or `2.75`.
pub(super) fn epochs(epoch: f64) -> String {
    let text = format!("{epoch:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn first_loss(log: &[TrainingLogEntry]) -> Option<f64> {
    log.iter().find_map(|entry| entry.loss)
}

pub(super) fn last_loss(log: &[TrainingLogEntry]) -> Option<f64> {
    log.iter().rev().find_map(|entry| entry.loss)
}
