use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fault::{CheckpointFault, CheckpointProblem};
use super::trainer_state::{self, TrainerState};
use crate::named_tensors::{NamedTensors, file_digest};
use crate::optimiser::Optimiser;
use crate::parameters::Parameters;
use crate::training::error::TrainingError;
use crate::training::progress::Progress;

/// Name of the file that is written last, and without which a checkpoint is not whole.
pub(super) const FILE: &str = "training_state.json";
/// Name of the file with the optimiser's tensors.
pub(super) const OPTIMISER: &str = "optimizer.safetensors";
/// The version of what `training_state.json` says.
pub(super) const VERSION: u32 = 1;

/// What `training_state.json` says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TrainingState {
    pub(super) format_version: u32,
    pub(super) progress: Progress,
    /// What must be the same for the run to go on.
    pub(super) settings: Map<String, Value>,
    /// Names of the other files, and their SHA-256.
    pub(super) files: BTreeMap<String, String>,
}

/// A checkpoint that is whole.
#[derive(Debug)]
pub(in crate::training) struct LoadedCheckpoint {
    pub(in crate::training) path: PathBuf,
    pub(in crate::training) progress: Progress,
    pub(in crate::training) settings: Map<String, Value>,
}

impl LoadedCheckpoint {
    /// Reads a checkpoint's state, and compares each of its files with what was written.
    pub(in crate::training) fn open(path: &Path) -> Result<Self, CheckpointFault> {
        let faulty = |problem| CheckpointFault::new(path, problem);
        let unreadable = |file: &str, error: &std::io::Error| CheckpointProblem::Unreadable {
            file: file.to_owned(),
            reason: error.to_string(),
        };
        let text = match std::fs::read(path.join(FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(faulty(CheckpointProblem::NoState));
            }
            Err(error) => return Err(faulty(unreadable(FILE, &error))),
        };
        let state = read_state(&text).map_err(faulty)?;
        for (file, digest) in &state.files {
            // The names are ours; a hostile one could only make us look at another file.
            let found = file_digest(&path.join(file));
            let found = found.map_err(|error| faulty(unreadable(file, &error)))?;
            if found != *digest {
                let file = file.clone();
                return Err(faulty(CheckpointProblem::Digest { file }));
            }
        }
        let mut progress = state.progress;
        let log = path.join(trainer_state::FILE);
        let log =
            std::fs::read(&log).map_err(|error| faulty(unreadable(trainer_state::FILE, &error)))?;
        let log: TrainerState = serde_json::from_slice(&log).map_err(|error| {
            faulty(CheckpointProblem::State {
                reason: format!("`{}`: {error}", trainer_state::FILE),
            })
        })?;
        progress.log_history = log.log_history;
        Ok(Self {
            path: path.to_owned(),
            progress,
            settings: state.settings,
        })
    }

    /// Takes back the weights; either all or none.
    pub(in crate::training) fn load_weights(
        &self,
        file: &'static str,
        parameters: &mut Parameters,
    ) -> Result<(), CheckpointFault> {
        let wrong = |tensor: &str, expected: &str, fault| {
            let problem = CheckpointProblem::of_tensor(file, tensor, expected, fault);
            CheckpointFault::new(&self.path, problem)
        };
        let tensors =
            NamedTensors::open(&self.path.join(file)).map_err(|fault| wrong("", "", fault))?;
        let mut values = Vec::with_capacity(parameters.len());
        for (id, parameter) in parameters.iter() {
            let (shape, device) = (parameter.value.dims(), parameter.value.device());
            let value = tensors
                .read(&parameter.name, shape, DType::F32, device)
                .map_err(|fault| wrong(&parameter.name, &format!("f32 {shape:?}"), fault))?;
            values.push((id, value));
        }
        let count = tensors.names().len();
        if count != values.len() {
            let problem = CheckpointProblem::Tensors {
                file: file.to_owned(),
                reason: format!("{count} tensors, expected {}", values.len()),
            };
            return Err(CheckpointFault::new(&self.path, problem));
        }
        for (id, value) in values {
            parameters.set(id, value);
        }
        Ok(())
    }

    /// Takes back the optimiser's state; all of it or nothing.
    pub(in crate::training) fn load_optimiser(
        &self,
        optimiser: &mut Optimiser,
    ) -> Result<(), TrainingError> {
        let wrong = |tensor: &str, fault| {
            let problem = CheckpointProblem::of_tensor(OPTIMISER, tensor, "there", fault);
            CheckpointFault::new(&self.path, problem)
        };
        let tensors = NamedTensors::open(&self.path.join(OPTIMISER));
        let tensors = tensors.map_err(|fault| wrong("", fault))?;
        optimiser.restore(tensors.names(), |name| {
            let tensor = tensors.read_any(name, &Device::Cpu);
            Ok(tensor.map_err(|fault| wrong(name, fault))?)
        })
    }
}

fn read_state(text: &[u8]) -> Result<TrainingState, CheckpointProblem> {
    #[derive(Deserialize)]
    struct Version {
        format_version: u32,
    }

    let wrong = |error: serde_json::Error| CheckpointProblem::State {
        reason: error.to_string(),
    };
    let Version { format_version } = serde_json::from_slice(text).map_err(wrong)?;
    if format_version != VERSION {
        return Err(CheckpointProblem::Version {
            found: format_version,
            expected: VERSION,
        });
    }
    serde_json::from_slice(text).map_err(wrong)
}
