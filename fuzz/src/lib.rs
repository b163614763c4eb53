//! What the fuzz targets share: an input taken apart, and a directory for what is in it.

use std::path::{Path, PathBuf};

/// Stands between the parts of an input; no text has such bytes.
pub const SEPARATOR: &[u8] = b"\xff\xfe\n";

/// Splits an input into its parts.
pub fn parts(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(data);
    std::iter::from_fn(move || {
        let left = rest?;
        let at = left
            .windows(SEPARATOR.len())
            .position(|bytes| bytes == SEPARATOR);
        rest = at.map(|at| &left[at + SEPARATOR.len()..]);
        Some(&left[..at.unwrap_or(left.len())])
    })
}

/// Makes a safetensors file of a header and values; where there are no values, the header is taken
/// for the whole file. So most inputs have a right length in front, and some any.
pub fn safetensors(header: &[u8], values: Option<&[u8]>) -> Vec<u8> {
    match values {
        Some(values) => [&(header.len() as u64).to_le_bytes(), header, values].concat(),
        None => header.to_vec(),
    }
}

/// A directory of one run's files, in the memory if `TMPDIR` is.
pub struct Files(tempfile::TempDir);

impl Files {
    /// Makes an empty one.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory can be made"))
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file into it.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).expect("a file can be written");
        path
    }
}

impl Default for Files {
    fn default() -> Self {
        Self::new()
    }
}
