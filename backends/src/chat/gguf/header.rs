//! What a GGUF file's header says, read before llama.cpp sees the file.
//!
//! llama.cpp answers every fault of a file with a null pointer; reading the header here gives the
//! faults their names. Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use crate::OpenError;

/// Longest name of a key or tensor believed; the format's own limits are 65,535 and 64 bytes.
const MAX_NAME: u64 = 1 << 16;
/// Most tensors or metadata entries believed; the largest published models have a few thousand.
const MAX_ENTRIES: u64 = 1 << 20;

/// The part of a header that decides how a file is run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Some weights are in one of the K or IQ quantisations.
    pub(super) has_superblocks: bool,
}

/// Reads the header of the file at `path`.
///
/// Errors with `File` where the file cannot be read and with `Format` where it is not GGUF, of an
/// unknown version, damaged or cut off.
pub(super) fn read(path: &Path) -> Result<Header, OpenError> {
    let unreadable = |source| OpenError::File {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(io::Error::other("it is not a file")));
    }
    let mut reader = Reader {
        input: BufReader::new(file),
        length: metadata.len(),
    };
    reader.header().map_err(|fault| match fault {
        Fault::Read(source) if source.kind() != io::ErrorKind::UnexpectedEof => unreadable(source),
        Fault::Read(_) => OpenError::Format {
            path: path.to_owned(),
            detail: format!(
                "it is cut off: its header goes on past its end at byte {}; copy or download it \
                 again",
                metadata.len()
            ),
        },
        Fault::Format(detail) => OpenError::Format {
            path: path.to_owned(),
            detail,
        },
    })
}

enum Fault {
    Read(io::Error),
    Format(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

struct Reader<R> {
    input: R,
    /// Bytes of the whole file.
    length: u64,
}

impl<R: Read + Seek> Reader<R> {
    fn header(&mut self) -> Result<Header, Fault> {
        let mut magic = Vec::new();
        self.input.by_ref().take(4).read_to_end(&mut magic)?;
        if magic != b"GGUF" {
            return Err(Fault::Format(format!(
                "it is not a GGUF file: it begins with `{}`, not with `GGUF`",
                magic.escape_ascii()
            )));
        }
        let version = self.u32()?;
        if !(2..=3).contains(&version) {
            return Err(Fault::Format(format!(
                "it is GGUF of version {version}; versions 2 and 3 can be read"
            )));
        }
        let n_tensors = self.count("tensors")?;
        let n_entries = self.count("metadata entries")?;
        let mut alignment = 32;
        for _ in 0..n_entries {
            let key = self.name()?;
            let kind = self.u32()?;
            // 4 is a 32-bit unsigned integer.
            if key == b"general.alignment" && kind == 4 {
                alignment = u64::from(self.u32()?).max(1);
            } else {
                self.skip_value(kind, 0)?;
            }
        }
        let mut has_superblocks = false;
        let mut furthest = 0;
        for _ in 0..n_tensors {
            self.name()?;
            let n_dimensions = self.u32()?;
            self.skip(u64::from(n_dimensions) * 8)?;
            has_superblocks |= is_superblock(self.u32()?);
            furthest = furthest.max(self.u64()?);
        }
        let data = self.input.stream_position()?.next_multiple_of(alignment);
        let last = data.saturating_add(furthest);
        if n_tensors > 0 && last >= self.length {
            return Err(Fault::Format(format!(
                "it is cut off: its last tensor begins at byte {last}, and the file ends at byte \
                 {}; copy or download it again",
                self.length
            )));
        }
        Ok(Header { has_superblocks })
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        let mut bytes = [0; 4];
        self.input.read_exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn u64(&mut self) -> Result<u64, Fault> {
        let mut bytes = [0; 8];
        self.input.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn count(&mut self, what: &str) -> Result<u64, Fault> {
        let count = self.u64()?;
        if count > MAX_ENTRIES {
            return Err(Fault::Format(format!(
                "its header is damaged: it claims {count} {what}"
            )));
        }
        Ok(count)
    }

    fn name(&mut self) -> Result<Vec<u8>, Fault> {
        let length = self.u64()?;
        if length > MAX_NAME {
            return Err(Fault::Format(format!(
                "its header is damaged: it claims a name of {length} bytes"
            )));
        }
        let mut name = Vec::new();
        let read = self.input.by_ref().take(length).read_to_end(&mut name)?;
        if (read as u64) < length {
            return Err(Fault::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(name)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Fault> {
        let end = self.input.stream_position()?.checked_add(bytes);
        match (end, i64::try_from(bytes)) {
            (Some(end), Ok(bytes)) if end <= self.length => Ok(self.input.seek_relative(bytes)?),
            _ => Err(Fault::Read(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    fn skip_value(&mut self, kind: u32, depth: u32) -> Result<(), Fault> {
        match (kind, size_of_kind(kind)) {
            (_, Some(size)) => self.skip(size),
            // A string.
            (8, None) => {
                let length = self.u64()?;
                self.skip(length)
            }
            // An array; nested ones are allowed but nobody writes them deep.
            (9, None) if depth < 4 => {
                let item_kind = self.u32()?;
                let n_items = self.u64()?;
                if let Some(size) = size_of_kind(item_kind) {
                    return self.skip(n_items.saturating_mul(size));
                }
                for _ in 0..n_items {
                    self.skip_value(item_kind, depth + 1)?;
                }
                Ok(())
            }
            _ => Err(Fault::Format(format!(
                "its header is damaged: a metadata value is of the unknown kind {kind}"
            ))),
        }
    }
}

/// Bytes of a metadata value; `None` for strings, arrays and kinds that do not exist.
fn size_of_kind(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// Tells whether weights of this ggml type come in blocks of 256: all types but the plain numbers
/// (F32 0, F16 1, integers 24 to 27, F64 28, BF16 30) and the blocks of 32 (`Q4_0` to `Q8_1` 2 to 9,
/// `IQ4_NL` 20). A type that this list does not know counts as one, which costs only speed.
fn is_superblock(kind: u32) -> bool {
    !matches!(kind, 0..=9 | 20 | 24..=28 | 30)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use test_case::test_case;

    use super::{Header, read};
    use crate::OpenError;

    const Q8_0: &[u8] = include_bytes!("../../../tests/fixtures/tiny-q8_0.gguf");

    fn read_bytes(bytes: &[u8]) -> Result<Header, OpenError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file.flush().unwrap();
        read(file.path())
    }

    #[test]
    fn whole_file_is_read() {
        let header = read_bytes(Q8_0).unwrap();
        assert!(!header.has_superblocks);
        let k_quant = include_bytes!("../../../tests/fixtures/tiny-q4_k.gguf");
        assert!(read_bytes(k_quant).unwrap().has_superblocks);
    }

    #[test]
    fn every_cut_through_the_header_is_a_format_error() {
        for end in (0..9000).step_by(7) {
            let error = read_bytes(&Q8_0[..end]).unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, OpenError::Format { .. }), "{end}: {text}");
            assert!(
                text.contains("cut off") || text.contains("not a GGUF"),
                "{text}"
            );
        }
    }

    #[test_case(4, &[9, 0, 0, 0], "version 9"; "an unknown version")]
    #[test_case(8, &[255; 8], "tensors"; "too many tensors")]
    #[test_case(16, &[255; 8], "metadata entries"; "too many entries")]
    #[test_case(24, &[255; 8], "a name of"; "an endless name")]
    #[test_case(0, b"<htm", "begins with `<htm`"; "another file")]
    fn damage_is_named(at: usize, bytes: &[u8], expected: &str) {
        let mut file = Q8_0.to_vec();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        let text = read_bytes(&file).unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }
}
