use std::io::Read as _;
use std::path::Path;

use crate::error::DatasetError;
use crate::rows::open_file;

/// Bytes a chapter's file may have.
const LIMIT: u64 = 64 << 20;

/// Reads a text file, without a byte order mark; errors if it is no UTF-8 or too long.
pub fn read_chapter(path: &Path) -> Result<String, DatasetError> {
    let failed = |source| DatasetError::Read {
        path: path.to_owned(),
        source,
    };
    let invalid = |message: String| {
        failed(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            message,
        ))
    };
    let file = open_file(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > LIMIT {
        return Err(invalid(format!("more than {LIMIT} bytes; split it")));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to() + 1;
        invalid(format!("byte {at} is not UTF-8; save it as UTF-8"))
    })?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}
