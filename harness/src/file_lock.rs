use std::fs::{File, TryLockError};
use std::path::Path;

/// Held by one process at a time; given back when dropped, also by a process that dies.
#[derive(Debug)]
pub(crate) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes the lock that the file `path` stands for, making it if need be; `None` if somebody holds it.
    pub(crate) fn take(path: &Path) -> std::io::Result<Option<Self>> {
        let file = File::create(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(source),
        }
    }
}
