use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use shipworthy_datasets::RowFile;
use tempfile::NamedTempFile;

use super::super::error::{Failure, Kind};

/// A JSONL file that appears whole or not at all.
pub(super) struct Output {
    path: PathBuf,
    writer: BufWriter<NamedTempFile>,
    may_replace: bool,
}

impl Output {
    /// Begins a file beside `path`; refuses a file that is there unless `may_replace`.
    pub(super) fn begin(path: &Path, may_replace: bool) -> Result<Self, Failure> {
        if !may_replace && path.exists() {
            return Err(there_already(path));
        }
        let directory = path.parent().filter(|name| !name.as_os_str().is_empty());
        let mut builder = tempfile::Builder::new();
        // Readable by whom the system lets, as files are; a temporary file is its owner's alone.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder
            .tempfile_in(directory.unwrap_or(Path::new(".")))
            .map_err(|source| failed(path, &source))?;
        Ok(Self {
            path: path.to_owned(),
            writer: BufWriter::with_capacity(1 << 16, file),
            may_replace,
        })
    }

    /// Writes one line.
    pub(super) fn line(&mut self, value: &impl Serialize) -> std::io::Result<()> {
        serde_json::to_writer(&mut self.writer, value)?;
        self.writer.write_all(b"\n")
    }

    /// Puts the file in its place.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let failed = |source: &std::io::Error| failed(&self.path, source);
        let file = self
            .writer
            .into_inner()
            .map_err(|error| failed(error.error()))?;
        let persisted = if self.may_replace {
            file.persist(&self.path)
        } else {
            file.persist_noclobber(&self.path)
        };
        match persisted {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(there_already(&self.path))
            }
            Err(error) => Err(failed(&error.error)),
        }
    }
}

fn failed(path: &Path, source: &std::io::Error) -> Failure {
    let path = path.display();
    Failure::new(
        Kind::InputOutput,
        format!("failed to write `{path}`: {source}"),
    )
}

fn there_already(path: &Path) -> Failure {
    let path = path.display();
    Failure::new(Kind::Usage, format!("`{path}` is there already"))
        .hint("name another one with `--out`, or replace the one there with `--overwrite`")
}

/// Copies each row of a file into the output that its number in `part_of` says, and puts all in place.
///
/// Errors if the file has other rows than it had.
pub(super) fn write_rows(
    rows: RowFile,
    part_of: &[Option<usize>],
    mut outputs: Vec<Output>,
) -> Result<(), Failure> {
    let name = rows.name().to_owned();
    let changed = || Failure::new(Kind::Data, format!("`{name}` was changed meanwhile"));
    let mut parts = part_of.iter();
    for row in rows {
        let (_, fields) = row?;
        if let Some(part) = parts.next().ok_or_else(changed)? {
            let output = &mut outputs[*part];
            let fields = fields.map_err(|_| changed())?;
            output
                .line(&fields)
                .map_err(|source| failed(&output.path, &source))?;
        }
    }
    if parts.next().is_some() {
        return Err(changed());
    }
    outputs.into_iter().try_for_each(Output::finish)
}
