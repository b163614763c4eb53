use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::error::{GgufProblem, Part, WriteError, WriteProblem};
use super::key_values::KeyValues;
use super::tensor::TensorDescription;
use super::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, encoding, header};
use crate::disk_space;
use crate::error::ModelError;

/// The largest alignment written; more would be padding for nothing.
const ALIGNMENT_LIMIT: u32 = 1 << 16;
/// Bytes collected before they are written.
const BUFFER: usize = 1 << 20;

/// What to do if a file of the name is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Error, and leave it alone.
    Keep,
    /// Put the new file in its place, once it is whole.
    Overwrite,
}

/// A GGUF file being written, which appears whole or not at all.
///
/// The header is written first, so all tensors are known beforehand; then the caller gives each
/// tensor's bytes in the order of the header, in pieces of any size. Bytes go to a temporary file
/// beside the one wanted; [`finish`](Self::finish) gives it its name, and dropping it before leaves
/// nothing behind.
#[derive(Debug)]
pub struct Writer {
    wanted: PathBuf,
    existing: Existing,
    file: BufWriter<NamedTempFile>,
    tensors: Vec<(TensorDescription, u64)>,
    alignment: u64,
    /// The tensor being written.
    current: usize,
    /// Bytes of it that have come.
    given: u64,
    length: u64,
}

impl Writer {
    /// Checks the header, that nothing is in the way and that the disk has room, and writes the
    /// header.
    ///
    /// `key_values` are written as they are, `general.alignment` (32 bytes if it is not there) is
    /// obeyed. Errors for whatever [`GgufFile`](super::GgufFile) would not read.
    pub fn begin(
        wanted: &Path,
        key_values: &KeyValues,
        tensors: Vec<TensorDescription>,
        existing: Existing,
    ) -> Result<Self, ModelError> {
        let wanted = std::path::absolute(wanted).map_err(ModelError::io("write", wanted))?;
        check_free(&wanted, existing)?;
        let invalid = |(part, problem)| {
            let problem = WriteProblem::Invalid { part, problem };
            failed(&wanted, problem)
        };
        let alignment = check_key_values(key_values).map_err(invalid)?;
        let tensors = place(tensors, u64::from(alignment)).map_err(invalid)?;
        let described = tensors
            .iter()
            .map(|placed| (&placed.description, placed.start));
        let header = header::encode(key_values, described, alignment);
        let data = tensors.last().map_or(0, |placed| placed.end);
        let length = data.saturating_add(header.len() as u64);
        let parent = wanted.parent().unwrap_or(&wanted);
        std::fs::create_dir_all(parent).map_err(ModelError::io("write", parent))?;
        disk_space::reserve(parent, &wanted, length)?;
        let temporary = tempfile::Builder::new()
            .prefix(".shipworthy-gguf-")
            .tempfile_in(parent)
            .map_err(ModelError::io("write", &wanted))?;
        let tensors = tensors.into_iter();
        let mut writer = Self {
            existing,
            file: BufWriter::with_capacity(BUFFER, temporary),
            tensors: tensors
                .map(|placed| (placed.description, placed.bytes))
                .collect(),
            alignment: alignment.into(),
            current: 0,
            given: 0,
            length,
            wanted,
        };
        writer.append(&header)?;
        Ok(writer)
    }

    /// Returns the bytes that the whole file will have.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Returns the tensor whose bytes are due, if one is.
    pub fn due(&self) -> Option<&TensorDescription> {
        let (description, _) = self.tensors.get(self.current)?;
        Some(description)
    }

    /// Appends some of the bytes of the tensor that is due.
    ///
    /// Errors if they are more than it has.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ModelError> {
        let Some((description, needed)) = self.tensors.get(self.current) else {
            let given = bytes.len() as u64;
            return Err(self.failed(WriteProblem::NoneDue { given }));
        };
        let given = self.given.saturating_add(bytes.len() as u64);
        if given > *needed {
            return Err(self.failed(WriteProblem::Long {
                tensor: description.name.clone(),
                needed: *needed,
                given,
            }));
        }
        self.append(bytes)?;
        self.given = given;
        Ok(())
    }

    /// Ends the tensor that is due, which is `name`, and pads it.
    ///
    /// Errors if another one is due, or if fewer bytes came than it has.
    pub fn end_tensor(&mut self, name: &str) -> Result<(), ModelError> {
        let Some((description, needed)) = self.tensors.get(self.current) else {
            return Err(self.order(name));
        };
        if description.name != name {
            return Err(self.order(name));
        }
        if self.given != *needed {
            return Err(self.failed(WriteProblem::Short {
                tensor: name.to_owned(),
                needed: *needed,
                given: self.given,
            }));
        }
        let mut padding = needed.next_multiple_of(self.alignment) - needed;
        while padding > 0 {
            let zeros = [0; 64];
            let length = padding.min(zeros.len() as u64);
            self.append(&zeros[..usize::try_from(length).unwrap_or(zeros.len())])?;
            padding -= length;
        }
        self.current += 1;
        self.given = 0;
        Ok(())
    }

    /// Writes all of the tensor that is due, which is `name`.
    pub fn write_tensor(&mut self, name: &str, bytes: &[u8]) -> Result<(), ModelError> {
        if self.due().is_none_or(|due| due.name != name) {
            return Err(self.order(name));
        }
        self.write(bytes)?;
        self.end_tensor(name)
    }

    /// Sees the file safely on disk and gives it its name.
    ///
    /// Errors if a tensor is missing, or if a file of the name has appeared that is to be kept.
    pub fn finish(self) -> Result<(), ModelError> {
        if let Some((description, needed)) = self.tensors.get(self.current) {
            return Err(self.failed(WriteProblem::Short {
                tensor: description.name.clone(),
                needed: *needed,
                given: self.given,
            }));
        }
        let Self {
            wanted,
            existing,
            file,
            ..
        } = self;
        let failed_to_write = |source| ModelError::io("write", &wanted)(source);
        let temporary = file
            .into_inner()
            .map_err(|error| failed_to_write(error.into_error()))?;
        make_readable(temporary.as_file()).map_err(failed_to_write)?;
        temporary.as_file().sync_all().map_err(failed_to_write)?;
        let placed = match existing {
            Existing::Keep => temporary.persist_noclobber(&wanted),
            Existing::Overwrite => temporary.persist(&wanted),
        };
        placed.map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => failed(&wanted, WriteProblem::Exists),
            _ => failed_to_write(error.error),
        })?;
        sync_parent(&wanted).map_err(failed_to_write)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), ModelError> {
        let result = self.file.write_all(bytes);
        result.map_err(ModelError::io("write", &self.wanted))
    }

    fn failed(&self, problem: WriteProblem) -> ModelError {
        failed(&self.wanted, problem)
    }

    fn order(&self, name: &str) -> ModelError {
        self.failed(WriteProblem::Order {
            given: name.to_owned(),
            due: self.due().map(|due| due.name.clone()),
        })
    }
}

fn failed(path: &Path, problem: WriteProblem) -> ModelError {
    let path = path.to_owned();
    WriteError { path, problem }.into()
}

/// Errors unless a file can be given that name.
fn check_free(wanted: &Path, existing: Existing) -> Result<(), ModelError> {
    if wanted.file_name().is_none() {
        return Err(failed(wanted, WriteProblem::NotAFile));
    }
    match (std::fs::symlink_metadata(wanted), existing) {
        (Ok(found), Existing::Overwrite) if found.is_dir() => {
            Err(failed(wanted, WriteProblem::NotAFile))
        }
        (Ok(_), Existing::Keep) => Err(failed(wanted, WriteProblem::Exists)),
        _ => Ok(()),
    }
}

/// Returns the alignment.
fn check_key_values(key_values: &KeyValues) -> Result<u32, (Part, GgufProblem)> {
    for (idx, (key, value)) in key_values.iter().enumerate() {
        if key.is_empty() {
            return Err((Part::KeyNumber(idx as u64), GgufProblem::Unnamed));
        }
        if encoding::depth(value) > encoding::DEPTH_LIMIT {
            let limit = encoding::DEPTH_LIMIT;
            return Err((Part::Key(key.to_owned()), GgufProblem::Depth { limit }));
        }
    }
    let Some(value) = key_values.get(ALIGNMENT_KEY) else {
        return Ok(DEFAULT_ALIGNMENT);
    };
    let alignment = header::alignment(value);
    let alignment = alignment.and_then(|alignment| match alignment {
        ..=ALIGNMENT_LIMIT => Ok(alignment),
        _ => Err(GgufProblem::Alignment(alignment.to_string())),
    });
    alignment.map_err(|problem| (Part::Key(ALIGNMENT_KEY.to_owned()), problem))
}

/// A tensor and its place among the data.
struct Placed {
    description: TensorDescription,
    start: u64,
    bytes: u64,
    /// Where it ends, with what pads it.
    end: u64,
}

fn place(
    tensors: Vec<TensorDescription>,
    alignment: u64,
) -> Result<Vec<Placed>, (Part, GgufProblem)> {
    let mut names = HashSet::new();
    let mut start = 0u64;
    let mut placed = Vec::with_capacity(tensors.len());
    for description in tensors {
        let wrong = |problem| (Part::Tensor(description.name.clone()), problem);
        let bytes = header::check(&description).map_err(wrong)?;
        if !names.insert(description.name.clone()) {
            return Err(wrong(GgufProblem::Twice));
        }
        let end = start.checked_add(bytes);
        let end = end.and_then(|end| end.checked_next_multiple_of(alignment));
        let end = end.ok_or_else(|| {
            wrong(GgufProblem::Size {
                tensor_type: description.tensor_type,
                dimensions: description.dimensions.clone(),
            })
        })?;
        placed.push(Placed {
            description,
            start,
            bytes,
            end,
        });
        start = end;
    }
    Ok(placed)
}

/// Temporary files are born private.
#[cfg(unix)]
fn make_readable(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_: &File) -> std::io::Result<()> {
    Ok(())
}

/// Sees the new name itself safely on disk.
#[cfg(unix)]
fn sync_parent(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(not(unix))]
fn sync_parent(_: &Path) -> std::io::Result<()> {
    Ok(())
}
