use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use shipworthy_reports::{
    metrics_line, tensorboard_file_name, tensorboard_head, tensorboard_scalars,
};
use shipworthy_schema::TrainingLogEntry;

use super::output_files::METRICS;
use crate::run_directory::{WriteError, write_file};

/// The log as it grows: `metrics.jsonl`, and an event file for `TensorBoard`.
pub(super) struct TrainingRecords {
    entries: Vec<TrainingLogEntry>,
    metrics: Record,
    events: Record,
}

struct Record {
    path: PathBuf,
    file: File,
}

impl TrainingRecords {
    /// Begins both in the directory `output`; `resumed_at` keeps what is there up to that step.
    ///
    /// `wall_time_s`: seconds since 1970.
    pub(super) fn begin(
        output: &Path,
        wall_time_s: f64,
        resumed_at: Option<u64>,
    ) -> Result<Self, WriteError> {
        let path = output.join(METRICS);
        let entries = resumed_at.map_or_else(Vec::new, |step| kept(&path, step));
        let lines: String = entries.iter().map(metrics_line).collect();
        write_file(&path, &lines)?;
        let metrics = Record::open(path)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a time since 1970"
        )]
        let name = tensorboard_file_name(wall_time_s as u64, "shipworthy");
        let mut events = Record::open(output.join(name))?;
        events.append(&tensorboard_head(wall_time_s, resumed_at))?;
        Ok(Self {
            entries,
            metrics,
            events,
        })
    }

    /// Adds an entry to both.
    pub(super) fn add(
        &mut self,
        entry: TrainingLogEntry,
        wall_time_s: f64,
    ) -> Result<(), WriteError> {
        self.metrics.append(metrics_line(&entry).as_bytes())?;
        self.events
            .append(&tensorboard_scalars(&entry, wall_time_s))?;
        self.entries.push(entry);
        Ok(())
    }

    /// Returns all entries, those of earlier processes among them.
    pub(super) fn entries(&self) -> &[TrainingLogEntry] {
        &self.entries
    }
}

/// Returns the entries of a file up to a step; a line cut off by a kill ends them.
fn kept(path: &Path, step: u64) -> Vec<TrainingLogEntry> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let read = text
        .lines()
        .map_while(|line| serde_json::from_str::<TrainingLogEntry>(line).ok());
    // The line that sums a run up is written again when this one ends.
    read.filter(|entry| entry.step <= step && entry.train_runtime.is_none())
        .collect()
}

impl Record {
    fn open(path: PathBuf) -> Result<Self, WriteError> {
        let opened = OpenOptions::new().append(true).create(true).open(&path);
        match opened {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(WriteError { path, source }),
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let written = self.file.write_all(bytes);
        written.map_err(|source| WriteError {
            path: self.path.clone(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(step: u64) -> TrainingLogEntry {
        TrainingLogEntry {
            step,
            loss: Some(1.0),
            ..TrainingLogEntry::default()
        }
    }

    #[test]
    fn resuming_takes_back_what_came_after_the_checkpoint() {
        let place = tempfile::tempdir().unwrap();
        let mut records = TrainingRecords::begin(place.path(), 1e9, None).unwrap();
        for step in 1..=5 {
            records.add(entry(step), 1e9).unwrap();
        }
        let mut resumed = TrainingRecords::begin(place.path(), 1e9 + 60.0, Some(3)).unwrap();
        resumed.add(entry(4), 1e9 + 61.0).unwrap();
        let steps: Vec<u64> = resumed.entries().iter().map(|entry| entry.step).collect();
        assert_eq!(steps, [1, 2, 3, 4]);
        let text = std::fs::read_to_string(place.path().join(METRICS)).unwrap();
        assert_eq!(text.lines().count(), 4);
        let events = std::fs::read_dir(place.path()).unwrap().count() - 1;
        assert_eq!(events, 2);
    }
}
