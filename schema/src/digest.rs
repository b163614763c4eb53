use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Names content by its SHA-256, written as 64 lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// Returns the digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex(&Sha256::digest(bytes)))
    }

    /// Returns the digest of several parts: of each one's length, 8 bytes little-endian, and its bytes.
    ///
    /// No two lists of parts are the same bytes, wherever one part ends and the next begins.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(hex(&hasher.finalize()))
    }

    /// Returns the digest of everything `reader` yields, in constant memory.
    pub fn of_reader(mut reader: impl std::io::Read) -> std::io::Result<Self> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(Self(hex(&hasher.finalize()))),
                n => hasher.update(&buffer[..n]),
            }
        }
    }

    /// Returns the digest of several files, given as name and digest in order of name: that of one
    /// line each, `DIGEST  NAME`, as `sha256sum` prints them.
    pub fn of_files<'a>(files: impl IntoIterator<Item = (&'a str, &'a Self)>) -> Self {
        let line = |(name, digest): (&str, &Self)| format!("{digest}  {name}\n");
        let listing: String = files.into_iter().map(line).collect();
        Self::of(listing.as_bytes())
    }

    /// Returns all 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first 12 digits, enough to tell artefacts apart in text for people.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(digit).collect()
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_hex = text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if text.len() == 64 && is_hex {
            Ok(Self(text))
        } else {
            Err(format!(
                "`{text}` is not a SHA-256 digest of 64 lower-case hexadecimal digits"
            ))
        }
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn digest_is_sha256_of_the_bytes() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").as_str(), expected);
        assert_eq!(Digest::of_reader(&b"abc"[..]).unwrap().as_str(), expected);
        assert!(Digest::try_from("abc".to_owned()).is_err());
    }

    #[test]
    fn digest_of_files_is_that_of_a_listing() {
        let abc = Digest::of(b"abc");
        let listing = format!("{abc}  config.json\n{abc}  model.safetensors\n");
        let files = [("config.json", &abc), ("model.safetensors", &abc)];
        assert_eq!(Digest::of_files(files), Digest::of(listing.as_bytes()));
    }
}
