use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::directory::{self, REPLACED, SAVING, hidden, remove_if_there, sync};
use super::state::{self, TrainingState};
use super::trainer_state::{self, indented, trainer_state};
use crate::adapter::{TrainedModel, write_file, write_model};
use crate::decoder::Decoder;
use crate::named_tensors::{DigestedFile, write_tensors};
use crate::optimiser::Optimiser;
use crate::training::error::TrainingError;
use crate::training::options::TrainingOptions;
use crate::training::progress::Progress;
use crate::training::step_plan::StepPlan;

/// What a checkpoint holds, and where it goes.
pub(in crate::training) struct Saved<'a> {
    /// The directory for checkpoints.
    pub(in crate::training) output: &'a Path,
    pub(in crate::training) model: &'a TrainedModel,
    pub(in crate::training) decoder: &'a Decoder,
    pub(in crate::training) optimiser: &'a Optimiser,
    pub(in crate::training) options: &'a TrainingOptions,
    pub(in crate::training) plan: &'a StepPlan,
    pub(in crate::training) progress: &'a Progress,
    pub(in crate::training) settings: &'a Map<String, Value>,
}

/// Writes a checkpoint under a hidden name and gives it its own when all of it is on disk; returns where
/// it is.
///
/// One of the same step is replaced.
pub(in crate::training) fn save(saved: &Saved<'_>) -> Result<PathBuf, TrainingError> {
    let (output, step) = (saved.output, saved.progress.step);
    let wanted = output.join(directory::directory_name(step));
    let saving = hidden(output, step, SAVING);
    remove_if_there(&saving)?;
    std::fs::create_dir(&saving).map_err(TrainingError::output(&saving))?;
    write(saved, &saving)?;
    let replaced = hidden(output, step, REPLACED);
    let rename = || {
        sync(&saving)?;
        if wanted.exists() {
            std::fs::rename(&wanted, &replaced)?;
        }
        std::fs::rename(&saving, &wanted)?;
        sync(output)
    };
    remove_if_there(&replaced)?;
    rename().map_err(TrainingError::output(&wanted))?;
    remove_if_there(&replaced)?;
    Ok(wanted)
}

fn write(saved: &Saved<'_>, directory: &Path) -> Result<(), TrainingError> {
    let model = write_model(directory, saved.model, saved.decoder, None)?;
    let mut files: BTreeMap<String, String> = model.into_iter().collect();

    let path = directory.join(state::OPTIMISER);
    let tensors: BTreeMap<_, _> = saved.optimiser.state_tensors().into_iter().collect();
    let mut file = DigestedFile::create(&path).map_err(TrainingError::output(&path))?;
    write_tensors(&mut file, &tensors, None)
        .map_err(|fault| TrainingError::writing(&path, fault))?;
    let digest = file.finish().map_err(TrainingError::output(&path))?;
    files.insert(state::OPTIMISER.to_owned(), digest);

    let path = directory.join(trainer_state::FILE);
    let text = trainer_state(saved.options, saved.plan, saved.progress)
        .map_err(|error| TrainingError::output(&path)(error.into()))?;
    let digest = write_file(&path, text.as_bytes())?;
    files.insert(trainer_state::FILE.to_owned(), digest);

    let path = directory.join(state::FILE);
    let state = TrainingState {
        format_version: state::VERSION,
        progress: saved.progress.clone(),
        settings: saved.settings.clone(),
        files,
    };
    let text = indented(&state).map_err(|error| TrainingError::output(&path)(error.into()))?;
    write_file(&path, text.as_bytes())?;
    Ok(())
}
