use std::path::{Path, PathBuf};

use shipworthy_models::{copy_companions, copy_tokenizer};

use super::checkpoint::{first_of_earlier_run, remove_leftovers};
use super::error::TrainingError;
use crate::adapter::{ModelForm, TrainedModel, stored_dtype, weights_file, write_model};
use crate::decoder::Decoder;

/// Where a model is put together before its files get their names.
const SAVING: &str = ".model.saving";

/// Sees that a directory can be written to, and that nothing of another run would be lost.
///
/// What a run that was killed while it saved has left is removed.
pub(super) fn prepare(
    output: &Path,
    model: &TrainedModel,
    is_resumed: bool,
) -> Result<(), TrainingError> {
    std::fs::create_dir_all(output).map_err(TrainingError::output(output))?;
    let found = if is_resumed {
        None
    } else {
        first_of_earlier_run(output, weights_file(&model.form))?
    };
    if let Some(found) = found {
        let path = output.to_owned();
        return Err(TrainingError::OutputInUse { path, found });
    }
    remove_leftovers(output)?;
    let saving = begin(output)?;
    std::fs::remove_dir(&saving).map_err(TrainingError::output(&saving))
}

/// Writes the trained model, with tokenizer and chat templates beside it.
pub(super) fn write(
    output: &Path,
    model: &TrainedModel,
    decoder: &Decoder,
) -> Result<(), TrainingError> {
    let saving = begin(output)?;
    let stored_as = match &model.form {
        ModelForm::Adapter(_) => None,
        ModelForm::Full => Some(stored_dtype(&model.base)?),
    };
    let written = write_model(&saving, model, decoder, stored_as)?;
    let mut names = match &model.form {
        ModelForm::Adapter(_) => copy_tokenizer(&model.base, &saving)?,
        ModelForm::Full => copy_companions(&model.base, &saving)?,
    };
    // What makes a directory a model comes last.
    names.extend(written.into_iter().map(|(name, _)| name));
    for name in names {
        let (from, to) = (saving.join(&name), output.join(&name));
        let parent = to.parent().unwrap_or(output);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::rename(&from, &to))
            .map_err(TrainingError::output(&to))?;
    }
    std::fs::remove_dir_all(&saving).map_err(TrainingError::output(&saving))
}

fn begin(output: &Path) -> Result<PathBuf, TrainingError> {
    let saving = output.join(SAVING);
    match std::fs::remove_dir_all(&saving) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(TrainingError::output(&saving)(error));
        }
        _ => {}
    }
    std::fs::create_dir(&saving).map_err(TrainingError::output(output))?;
    Ok(saving)
}
