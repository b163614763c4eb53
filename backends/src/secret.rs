use std::fmt;

use memchr::memmem;

/// Bytes of a secret from which on it is told from a word that people say.
const UNMISTAKABLE: usize = 16;

/// A text that never shows: its `Debug` and `Display` are three asterisks, and it has no serde.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns `text` with every occurrence of the secret replaced by asterisks.
    pub fn redact(&self, text: &str) -> String {
        if self.0.is_empty() {
            text.to_owned()
        } else {
            text.replace(&self.0, "***")
        }
    }
}

impl Secret {
    /// Replaces every occurrence of the secret in what a model may have said by asterisks.
    ///
    /// A secret of less than 16 bytes stays: servers without keys are given `EMPTY` or the like, which a
    /// model may well say.
    pub(crate) fn strike(&self, body: &mut Vec<u8>) {
        let secret = self.0.as_bytes();
        if secret.len() < UNMISTAKABLE {
            return;
        }
        let mut struck = Vec::new();
        let mut end = 0;
        for start in memmem::find_iter(body, secret) {
            struck.extend_from_slice(&body[end..start]);
            struck.extend_from_slice(b"***");
            end = start + secret.len();
        }
        if end > 0 {
            struck.extend_from_slice(&body[end..]);
            *body = struck;
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::Secret;

    #[test_case("sk-0123456789abcdef", "sk-0123456789abcdef", "***"; "the whole")]
    #[test_case("sk-0123456789abcdef", "a sk-0123456789abcdef, sk-0123456789abcdef b", "a ***, *** b"; "twice")]
    #[test_case("sk-0123456789abcdef", "nothing", "nothing"; "none")]
    #[test_case("EMPTY", "The box is EMPTY.", "The box is EMPTY."; "a word")]
    #[test_case("", "said", "said"; "no secret")]
    fn replies_lose_secrets_only(secret: &str, said: &str, expected: &str) {
        let mut body = said.as_bytes().to_vec();
        Secret::new(secret).strike(&mut body);
        assert_eq!(body, expected.as_bytes());
    }
}
