use super::vocabulary::{Token, TokenKind};

/// Score of a token that no parts are merged into.
pub(super) const ADDED_SCORE: f32 = -1000.0;
/// Score of a row of the embedding without a token.
const UNUSED_SCORE: f32 = -10000.0;

/// Returns the kind of an added token, and its text as llama.cpp looks for it.
///
/// Some tokenizers do not mark as special what is: such tokens are told by their look. A token that
/// users may write is looked for in the text as it is, where a space is a space.
pub(super) fn added(content: &str, special: bool) -> (TokenKind, String) {
    if special || looks_special(content) {
        (TokenKind::Control, content.to_owned())
    } else {
        (TokenKind::UserDefined, content.replace('▁', " "))
    }
}

fn looks_special(text: &str) -> bool {
    let between = |start: &str, end: &str| text.starts_with(start) && text.ends_with(end);
    matches!(text, "<pad>" | "<mask>" | "<2mass>" | "[@BOS@]")
        || between("<|", "|>")
        || between("<｜", "｜>")
        || between("<unused", ">")
}

/// Returns what stands for a row of the embedding without a token.
pub(super) fn unused(id: usize, scored: bool) -> Token {
    Token {
        text: format!("[PAD{id}]"),
        kind: TokenKind::Unused,
        score: scored.then_some(UNUSED_SCORE),
    }
}
