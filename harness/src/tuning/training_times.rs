use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::run_directory::{WriteError, write_file};

/// Name of the file in the output directory.
const FILE: &str = ".training_times.json";

/// How long training took up to each checkpoint, over all processes, so that who goes on from one can tell
/// of the whole.
///
/// It is no part of a checkpoint, whose bytes do not depend on when it was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct TrainingTimes {
    /// Seconds by step.
    seconds: BTreeMap<u64, f64>,
}

impl TrainingTimes {
    /// Reads what lies beside the checkpoint in `directory`; nothing is known if there is no such file.
    pub(super) fn beside(directory: &Path) -> Self {
        let Some(output) = directory.parent() else {
            return Self::default();
        };
        let text = std::fs::read(output.join(FILE)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Returns the seconds up to a checkpoint.
    pub(super) fn up_to(&self, step: u64) -> Option<f64> {
        self.seconds.get(&step).copied()
    }

    /// Forgets what came after a step.
    pub(super) fn go_back_to(&mut self, step: u64) {
        self.seconds.retain(|known, _| *known <= step);
    }

    /// Adds a checkpoint, and writes all into the directory `output`.
    pub(super) fn add(&mut self, step: u64, seconds: f64, output: &Path) -> Result<(), WriteError> {
        self.seconds.insert(step, seconds);
        let text = serde_json::to_string(self).expect("numbers are JSON");
        write_file(&output.join(FILE), &(text + "\n"))
    }
}
