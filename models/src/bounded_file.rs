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
    let file = std::fs::File::open(path).map_err(ModelError::io("read", path))?;
    let mut text = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut text)
        .map_err(ModelError::io("read", path))?;
    if text.len() as u64 > limit {
        return Err(ModelError::TooLarge {
            path: path.to_owned(),
            length: metadata.len(),
            limit,
        });
    }
    Ok(text)
}
