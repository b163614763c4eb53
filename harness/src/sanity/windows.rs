//! Plain text as sequences to foretell, cut where llama.cpp's `llama-perplexity` cuts it.

use std::path::Path;

use shipworthy_datasets::{TextTokenizer, TokenisedExample};

use super::error::SanityError;

/// Reads a text as windows of `length` tokens, of which the second half is foretold.
///
/// The tokens are those of the whole text; what does not fill a window is left out. Where the tokenizer
/// begins texts with a token of its own, each window begins with it, in the place of its first token.
pub(super) fn read(
    path: &Path,
    tokenizer: &TextTokenizer,
    length: usize,
) -> Result<Vec<TokenisedExample>, SanityError> {
    let text = std::fs::read_to_string(path).map_err(|source| SanityError::Read {
        path: path.to_owned(),
        source,
    })?;
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    let wrong = |detail: String| SanityError::Request {
        detail: format!("`{}`: {detail}", path.display()),
    };
    let tokens = tokenizer
        .encode(&text)
        .map_err(|error| wrong(error.to_string()))?;
    let added = tokenizer
        .encode("")
        .map_err(|error| wrong(error.to_string()))?;
    let begins = added.first().copied();
    if length < 4 || tokens.len() < length {
        let found = tokens.len();
        return Err(wrong(format!(
            "it has {found} tokens, expected at least the {length} of one window; lower \
             `limits.text_window` (4 or more)"
        )));
    }
    let windows = tokens
        .chunks_exact(length)
        .enumerate()
        .map(|(idx, window)| {
            let mut tokens = window.to_vec();
            if let Some(begin) = begins {
                tokens[0] = begin;
            }
            TokenisedExample {
                id: format!("{name}, window {}", idx + 1),
                labelled: (0..length).map(|position| position > length / 2).collect(),
                tokens,
            }
        });
    Ok(windows.collect())
}
