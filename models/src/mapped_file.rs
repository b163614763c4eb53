use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

use crate::error::ModelError;

/// A file's bytes, read from disk when they are looked at.
#[derive(Debug)]
pub(crate) struct MappedFile(Option<Mmap>);

impl MappedFile {
    /// Maps a regular file.
    pub(crate) fn open(path: &Path) -> Result<Self, ModelError> {
        let metadata = std::fs::metadata(path).map_err(ModelError::io("read", path))?;
        if !metadata.is_file() {
            let source = std::io::Error::other("not a file");
            return Err(ModelError::io("read", path)(source));
        }
        if metadata.len() == 0 {
            // Nothing can be mapped.
            return Ok(Self(None));
        }
        let file = File::open(path).map_err(ModelError::io("read", path))?;
        map(&file)
            .map(|map| Self(Some(map)))
            .map_err(ModelError::io("map", path))
    }
}

#[expect(unsafe_code, reason = "there is no safe way to map a file")]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the map is private and only read, and any bytes are valid `u8`s. Who truncates the file
    // while it is read ends this process by a signal, who writes to it changes what is read; both are
    // documented for users, and neither can make our own code go out of bounds, because lengths come
    // from the map and not from the file.
    unsafe { Mmap::map(file) }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}
