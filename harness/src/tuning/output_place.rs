use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use super::config_file::TuningConfig;
use super::error::TuningError;

/// Errors if what is written to `output_dir` would change the model that is read, or take it away.
pub(super) fn check(config: &TuningConfig) -> Result<(), TuningError> {
    let wrong = |message: String| Err(config.places.value_of("output_dir").error(message).into());
    let (model, output) = (&config.opened.model, &config.opened.output_dir);
    let (Some(model), Some(output)) = (resolved(model), resolved(output)) else {
        // A path that cannot be followed is told when it is read or written.
        return Ok(());
    };
    let shown = config.written.output_dir.display();
    if model == output {
        return wrong(format!(
            "`{shown}` is the directory of `model`, and what is trained would be written into it; name another one"
        ));
    }
    let below = model.strip_prefix(&output).ok();
    let first = below.and_then(|below| below.components().next());
    if first.is_some_and(|first| is_checkpoint(first.as_os_str())) {
        return wrong(format!(
            "`model` is one of the checkpoints in `{shown}`, which this run would write and remove; name another one"
        ));
    }
    Ok(())
}

/// Tells whether it is the name of a checkpoint, as trainers give it.
fn is_checkpoint(name: &OsStr) -> bool {
    let name = name
        .to_str()
        .and_then(|name| name.strip_prefix("checkpoint-"));
    name.is_some_and(|step| step.parse::<u64>().is_ok())
}

/// Returns where a path leads, links and `..` followed, also where its end is not there yet.
fn resolved(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let mut found = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                found.pop();
            }
            part => found.push(part),
        }
        // Once followed, it has no link in it, so that its parent is the one above.
        found = found.canonicalize().unwrap_or(found);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_the_system_finds_them() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("models/base")).unwrap();
        let leads = |path: &str| resolved(&place.path().join(path)).unwrap();
        assert_eq!(leads("models/base"), root.join("models/base"));
        assert_eq!(leads("new/../models/base/"), root.join("models/base"));
        assert_eq!(leads("models/./new"), root.join("models/new"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("models/base", root.join("link")).unwrap();
            assert_eq!(leads("link"), root.join("models/base"));
            assert_eq!(leads("link/../new"), root.join("models/new"));
        }
    }
}
