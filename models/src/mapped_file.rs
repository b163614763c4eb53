use std::fs::File;
use std::ops::{Deref, Range};
use std::path::Path;

use memmap2::{Mmap, UncheckedAdvice};

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

impl MappedFile {
    /// Gives the memory of a part back; its bytes are read from disk again when they are looked at.
    ///
    /// Only saves memory, so that a system that refuses is not asked twice.
    #[expect(unsafe_code, reason = "other maps would lose what was written to them")]
    pub(crate) fn release(&self, range: Range<usize>) {
        if let Self(Some(map)) = self {
            // SAFETY: the map is of a file and only read, so that its pages come back with the same bytes.
            let _ = unsafe {
                map.unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, range.len())
            };
        }
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}
