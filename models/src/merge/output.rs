//! A directory that appears whole or not at all.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::disk_space;
use crate::error::{ModelError, OutputProblem};

/// A directory beside the one wanted, which takes its name at the end and goes when dropped before.
pub(super) struct OutputDirectory {
    wanted: PathBuf,
    temporary: TempDir,
}

impl OutputDirectory {
    /// Checks that `wanted` is free and none of `inputs`, and begins it.
    pub(super) fn begin(wanted: &Path, inputs: [&Path; 2]) -> Result<Self, ModelError> {
        let problem = |problem| ModelError::Output {
            path: wanted.to_owned(),
            problem,
        };
        let wanted = std::path::absolute(wanted).map_err(ModelError::io("write", wanted))?;
        for input in inputs {
            let input_path = input
                .canonicalize()
                .map_err(ModelError::io("read", input))?;
            if resolved(&wanted).starts_with(&input_path) {
                let input = input.to_owned();
                return Err(problem(OutputProblem::Input { input }));
            }
        }
        if std::fs::symlink_metadata(&wanted).is_ok() {
            let mut entries = std::fs::read_dir(&wanted);
            let is_empty = entries
                .as_mut()
                .is_ok_and(|entries| entries.next().is_none());
            if !is_empty {
                return Err(problem(OutputProblem::NotEmpty));
            }
        }
        let parent = wanted.parent().unwrap_or(&wanted);
        std::fs::create_dir_all(parent).map_err(ModelError::io("write", parent))?;
        let temporary = tempfile::Builder::new()
            .prefix(".shipworthy-merge-")
            .tempdir_in(parent)
            .map_err(ModelError::io("write", parent))?;
        Ok(Self { wanted, temporary })
    }

    /// Errors unless the disk has room for so many bytes.
    pub(super) fn reserve(&self, needed: u64) -> Result<(), ModelError> {
        disk_space::reserve(self.temporary.path(), &self.wanted, needed)
    }

    /// Begins a file in it.
    pub(super) fn create(&self, name: &str) -> Result<OutputFile, ModelError> {
        let shown = self.wanted.join(name);
        let path = self.temporary.path().join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(ModelError::io("write", &shown))?;
        }
        let file = File::create_new(path).map_err(ModelError::io("write", &shown))?;
        Ok(OutputFile { shown, file })
    }

    /// Copies a file into it.
    pub(super) fn copy(&self, from: &Path, name: &str) -> Result<(), ModelError> {
        let mut file = self.create(name)?;
        let mut source = File::open(from).map_err(ModelError::io("read", from))?;
        std::io::copy(&mut source, &mut file.file).map_err(ModelError::io("write", &file.shown))?;
        file.finish()
    }

    /// Gives the directory its name.
    pub(super) fn finish(self) -> Result<(), ModelError> {
        let failed = ModelError::io("write", &self.wanted);
        make_readable(self.temporary.path())
            .and_then(|()| std::fs::rename(self.temporary.path(), &self.wanted))
            .map_err(failed)?;
        // It has another name now and is to stay.
        let _ = self.temporary.keep();
        Ok(())
    }
}

/// A file being written.
pub(super) struct OutputFile {
    shown: PathBuf,
    file: File,
}

impl OutputFile {
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ModelError> {
        self.file
            .write_all(bytes)
            .map_err(ModelError::io("write", &self.shown))
    }

    /// Sees it safely on disk.
    pub(super) fn finish(self) -> Result<(), ModelError> {
        self.file
            .sync_all()
            .map_err(ModelError::io("write", &self.shown))
    }
}

/// Returns the path without links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    if let Ok(found) = path.canonicalize() {
        return found;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => resolved(parent).join(name),
        _ => path.to_owned(),
    }
}

/// Temporary directories are born private.
#[cfg(unix)]
fn make_readable(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_readable(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_disk_has_is_refused_and_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let input = tempfile::tempdir().unwrap();
        let wanted = place.path().join("out");
        let inputs = [input.path(), input.path()];
        let output = OutputDirectory::begin(&wanted, inputs).unwrap();
        output.reserve(1).unwrap();
        let error = output.reserve(u64::MAX).unwrap_err().to_string();
        assert!(
            error.contains("needs 18446744073709551615 bytes, "),
            "{error}"
        );
        drop(output);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn inputs_and_full_directories_are_not_written_to() {
        let place = tempfile::tempdir().unwrap();
        let input = place.path().join("in");
        std::fs::create_dir(&input).unwrap();
        let begin = |name: &str| {
            let output = OutputDirectory::begin(&place.path().join(name), [&input, &input]);
            output
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default()
        };
        for name in ["in", "in/out", "in/../in/deep/out"] {
            assert!(begin(name).contains("is, or lies in, `"), "{name}");
        }
        std::fs::write(place.path().join("file"), "").unwrap();
        assert!(begin("file").contains("is there already"));
        assert!(begin(".").contains("is there already"));
        assert_eq!(begin("in2"), "");
    }
}
