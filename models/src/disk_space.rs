use std::path::Path;

use crate::error::{ModelError, OutputProblem};

/// Errors unless the disk of `directory` has room for so many bytes; `wanted` is what is to be written.
///
/// Where the system does not tell, there is room.
pub(crate) fn reserve(directory: &Path, wanted: &Path, needed: u64) -> Result<(), ModelError> {
    match free_space(directory) {
        Some(available) if available < needed => Err(ModelError::Output {
            path: wanted.to_owned(),
            problem: OutputProblem::Space { needed, available },
        }),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn free_space(directory: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(directory).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

#[cfg(not(unix))]
fn free_space(_: &Path) -> Option<u64> {
    None
}
