//! Against what `TensorBoard` and transformers write: `tests/golden/training_records`.

use std::path::{Path, PathBuf};

use serde_json::Value;
use shipworthy_reports::{metrics_line, tensorboard_head, tensorboard_scalars, trainer_state_json};
use shipworthy_schema::{TrainerState, TrainingLogEntry};

/// When the first entry was written; one follows another after half a second.
const BEGIN: f64 = 1_790_000_000.25;

fn golden(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("tests/golden/training_records").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(golden(name)).unwrap()
}

fn log() -> Vec<TrainingLogEntry> {
    let lines = text("metrics.jsonl");
    let entries = lines.lines().map(serde_json::from_str);
    entries.collect::<Result<_, _>>().unwrap()
}

fn event_file(begin: f64, resumed_at: Option<u64>, entries: &[TrainingLogEntry]) -> Vec<u8> {
    let mut bytes = tensorboard_head(begin, resumed_at);
    for (idx, entry) in entries.iter().enumerate() {
        let wall_time = begin + 0.5 * f64::from(u32::try_from(idx).unwrap());
        bytes.extend(tensorboard_scalars(entry, wall_time));
    }
    bytes
}

#[test]
fn event_files_are_tensorboards_byte_for_byte() {
    let log = log();
    let (begun, resumed) = log.split_at(3);
    let ours = event_file(BEGIN, None, begun);
    assert_eq!(ours, std::fs::read(golden("begun.tfevents")).unwrap());
    let ours = event_file(BEGIN + 100.0, Some(2), resumed);
    assert_eq!(ours, std::fs::read(golden("resumed.tfevents")).unwrap());
}

/// The same fields with the same values, so that `TrainerState.load_from_json` reads ours, too.
#[test]
fn a_trainer_state_is_read_and_written_as_transformers_does() {
    let theirs = text("trainer_state.json");
    let state: TrainerState = serde_json::from_str(&theirs).unwrap();
    assert_eq!(state.log_history.len(), 6);
    assert_eq!(state.best_metric, Some(1.625));
    let stopping = state.stateful_callbacks.early_stopping.as_ref().unwrap();
    assert_eq!(stopping.attributes.early_stopping_patience_counter, 1);

    let read = |json: &str| serde_json::from_str::<Value>(json).unwrap();
    let ours = trainer_state_json(&state);
    assert_eq!(read(&ours), read(&theirs));
    // All fields in their order, entries and all; only Python's `1e-05` is spelt in another way.
    assert_eq!(ours.replace("0.00001", "1e-05"), theirs);
}

#[test]
fn a_line_of_metrics_is_one_entry_in_the_names_of_others() {
    let theirs = text("metrics.jsonl");
    let read = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    for (entry, line) in log().iter().zip(theirs.lines()) {
        let ours = metrics_line(entry);
        assert!(ours.ends_with("}\n") && ours.matches('\n').count() == 1);
        assert_eq!(read(&ours), read(line));
    }
}
