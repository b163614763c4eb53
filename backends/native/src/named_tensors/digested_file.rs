use std::fs::File;
use std::io::{BufWriter, Read as _, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// Bytes that are read and written at a time.
const PIECE: usize = 1 << 20;

/// A file whose digest is known once it is written.
pub(crate) struct DigestedFile {
    file: BufWriter<File>,
    digest: Sha256,
}

impl DigestedFile {
    /// Begins a file, in place of one that may be there.
    pub(crate) fn create(path: &Path) -> std::io::Result<Self> {
        Ok(Self {
            file: BufWriter::with_capacity(PIECE, File::create(path)?),
            digest: Sha256::new(),
        })
    }

    /// Sees it safely on disk; returns its SHA-256 in hexadecimal digits.
    pub(crate) fn finish(self) -> std::io::Result<String> {
        let file = self.file.into_inner()?;
        file.sync_all()?;
        Ok(hexadecimal(self.digest))
    }
}

impl Write for DigestedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Returns a file's SHA-256 in hexadecimal digits.
pub(crate) fn file_digest(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut piece = vec![0; PIECE];
    let mut digest = Sha256::new();
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hexadecimal(digest)),
            count => digest.update(&piece[..count]),
        }
    }
}

/// Returns a digest in hexadecimal digits.
pub(crate) fn hexadecimal(digest: Sha256) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    for byte in digest.finalize() {
        write!(text, "{byte:02x}").expect("a string takes everything");
    }
    text
}
