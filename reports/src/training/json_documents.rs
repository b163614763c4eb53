//! Records of training as JSON.

use serde::Serialize;
use shipworthy_schema::{TrainerState, TrainingLineage, TrainingLogEntry, TrainingReport};

use crate::inert_text::inert_json;

/// Returns one line of `metrics.jsonl`, its end included.
pub fn metrics_line(entry: &TrainingLogEntry) -> String {
    let json = serde_json::to_string(entry).expect("an entry is plain data");
    json + "\n"
}

/// Returns `trainer_state.json`, which transformers reads as its own.
pub fn trainer_state_json(state: &TrainerState) -> String {
    document(state)
}

/// Returns `lineage.json`.
pub fn lineage_json(lineage: &TrainingLineage) -> String {
    document(lineage)
}

/// Returns the whole report for programs, `finetune_report.json`.
pub fn training_json(report: &TrainingReport) -> String {
    document(report)
}

fn document(value: &impl Serialize) -> String {
    let json = serde_json::to_string_pretty(value)
        .expect("writing to memory cannot fail, and every map has text keys");
    inert_json(&json) + "\n"
}
