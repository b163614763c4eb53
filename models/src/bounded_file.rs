use std::io::Read as _;
use std::path::Path;

use crate::error::ModelError;

/// Reads all of a regular file that has at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ModelError> {
    let metadata = std::fs::metadata(path).map_err(ModelError::io("read", path))?;
    if !metadata.is_file() {
        // Opening a named pipe would wait for its writer.
        let source = std::io::Error::other("not a file");
        return Err(ModelError::io("read", path)(source));
    }
    let too_large = |length| ModelError::TooLarge {
        path: path.to_owned(),
        length,
        limit,
    };
    if metadata.len() > limit {
        return Err(too_large(metadata.len()));
    }
    let file = std::fs::File::open(path).map_err(ModelError::io("read", path))?;
    let mut text = Vec::new();
    // Not every file says how long it is, and it may grow while it is read.
    file.take(limit + 1)
        .read_to_end(&mut text)
        .map_err(ModelError::io("read", path))?;
    if text.len() as u64 > limit {
        return Err(too_large(text.len() as u64));
    }
    Ok(text)
}
