use std::fs::File;
use std::path::{Path, PathBuf};

use super::fault::CheckpointFault;
use super::state::LoadedCheckpoint;
use crate::training::error::TrainingError;

/// What a checkpoint's name begins with; its step follows.
const PREFIX: &str = "checkpoint-";
/// Ends of the hidden names of checkpoints: not whole yet; about to be replaced; about to go.
pub(super) const SAVING: &str = ".saving";
pub(super) const REPLACED: &str = ".replaced";
const DISCARDED: &str = ".discarded";

/// Returns the name of the checkpoint of a step.
pub(in crate::training) fn directory_name(step: usize) -> String {
    format!("{PREFIX}{step}")
}

/// Returns the hidden name under which a checkpoint comes or goes.
pub(super) fn hidden(output: &Path, step: usize, end: &str) -> PathBuf {
    output.join(format!(".{PREFIX}{step}{end}"))
}

/// Returns steps and directories of the checkpoints in a directory, by step, whole or not.
pub(in crate::training) fn checkpoints(
    output: &Path,
) -> Result<Vec<(usize, PathBuf)>, TrainingError> {
    let mut found = Vec::new();
    for name in names(output)? {
        let step = name.strip_prefix(PREFIX).and_then(|step| step.parse().ok());
        let path = output.join(&name);
        if let Some(step) = step
            && directory_name(step) == name
            && path.is_dir()
        {
            found.push((step, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Returns the whole checkpoint of the latest step in a directory, and those of later steps that are not
/// whole.
///
/// Every file of a checkpoint is compared with the digest taken when it was written. What a run that was
/// killed while it saved has left under another name is put back, if nothing has taken its place.
pub fn latest_checkpoint(
    output: &Path,
) -> Result<(Option<PathBuf>, Vec<CheckpointFault>), TrainingError> {
    put_back(output)?;
    let mut skipped = Vec::new();
    for (_, path) in checkpoints(output)?.into_iter().rev() {
        match LoadedCheckpoint::open(&path) {
            Ok(_) => return Ok((Some(path), skipped)),
            Err(fault) => skipped.push(fault),
        }
    }
    Ok((None, skipped))
}

/// Gives a checkpoint its name back that was about to be replaced when the run ended.
fn put_back(output: &Path) -> Result<(), TrainingError> {
    for name in names(output)? {
        let wanted = name
            .strip_prefix('.')
            .and_then(|name| name.strip_suffix(REPLACED));
        if let Some(wanted) = wanted.filter(|wanted| wanted.starts_with(PREFIX)) {
            let (from, to) = (output.join(&name), output.join(wanted));
            if !to.exists() {
                std::fs::rename(&from, &to).map_err(TrainingError::output(&to))?;
            }
        }
    }
    Ok(())
}

/// Removes what a run that was killed while it saved has left under hidden names.
pub(in crate::training) fn remove_leftovers(output: &Path) -> Result<(), TrainingError> {
    put_back(output)?;
    for name in names(output)? {
        let is_leftover = name.starts_with(&format!(".{PREFIX}"))
            && [SAVING, REPLACED, DISCARDED]
                .iter()
                .any(|end| name.ends_with(end));
        if is_leftover {
            let path = output.join(name);
            std::fs::remove_dir_all(&path).map_err(TrainingError::output(&path))?;
        }
    }
    Ok(())
}

/// Removes a checkpoint; what is killed meanwhile leaves no half of it behind.
pub(in crate::training) fn discard(output: &Path, step: usize) -> Result<(), TrainingError> {
    let path = output.join(directory_name(step));
    let going = hidden(output, step, DISCARDED);
    remove_if_there(&going)?;
    std::fs::rename(&path, &going)
        .and_then(|()| std::fs::remove_dir_all(&going))
        .map_err(TrainingError::output(&path))
}

/// Returns the name of what an earlier run wrote into a directory, if it did.
pub(in crate::training) fn first_of_earlier_run(
    output: &Path,
    weights: &str,
) -> Result<Option<String>, TrainingError> {
    if let Some((step, _)) = checkpoints(output)?.first() {
        return Ok(Some(directory_name(*step)));
    }
    let is_there = output.join(weights).exists();
    Ok(is_there.then(|| weights.to_owned()))
}

/// Removes a directory with all in it, if it is there.
pub(super) fn remove_if_there(path: &Path) -> Result<(), TrainingError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainingError::output(path)(error))
        }
        _ => Ok(()),
    }
}

/// Sees it safely on disk which names a directory has.
pub(super) fn sync(directory: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// Returns the names in a directory, sorted; none if it is not there.
fn names(directory: &Path) -> Result<Vec<String>, TrainingError> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(TrainingError::read(directory)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(TrainingError::read(directory))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}
