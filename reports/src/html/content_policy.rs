//! What a browser may do with the page: show it, and run one script of known content.

use shipworthy_schema::Digest;

/// Returns the page's Content-Security-Policy.
///
/// Nothing is loaded from anywhere. Script and style count only with the digests of ours, so that
/// markup which slipped through would still do nothing; no text is ever made into markup
/// (`trusted-types`).
pub(super) fn content_policy(script: &str, style: &str) -> String {
    format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        source(script),
        source(style)
    )
}

/// Returns a source by content, e.g. `sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=`.
fn source(content: &str) -> String {
    let digest = Digest::of(content.as_bytes());
    let digits = digest.as_str().as_bytes().chunks_exact(2);
    let bytes: Vec<u8> = digits
        .map(|pair| {
            pair.iter()
                .fold(0, |byte, digit| byte << 4 | nibble(*digit))
        })
        .collect();
    format!("sha256-{}", base64(&bytes))
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit - b'a' + 10,
    }
}

/// Returns `bytes` in base 64 (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let at = |idx: usize| u32::from(group.get(idx).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for idx in 0..4 {
            let digit = (bits >> (18 - 6 * idx)) & 63;
            text.push(if idx > group.len() {
                '='
            } else {
                char::from(DIGITS[digit as usize])
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{base64, source};

    #[test]
    fn sources_are_named_as_browsers_do() {
        // RFC 4648, section 10, and the digest of "abc" (FIPS 180-4).
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ];
        for (bytes, text) in cases {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        let expected = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
        assert_eq!(source("abc"), expected);
    }
}
