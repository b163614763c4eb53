use std::fmt::Write as _;

/// Returns text on one line in which nothing is obeyed by a terminal, every control character shown
/// by its number: `<U+001B>`.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('⏎'),
            '\t' => out.push('⇥'),
            c => push_inert(&mut out, c),
        }
    }
    out
}

/// As [`visible`], with lines kept: a line break is shown and made.
pub(crate) fn visible_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("⏎\n"),
            '\t' => out.push('⇥'),
            c => push_inert(&mut out, c),
        }
    }
    out
}

/// Returns the first `max_chars` characters, visible, with an ellipsis where some are left out.
pub(crate) fn excerpt(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        None => visible(text),
        Some((end, _)) => format!("{}…", visible(&text[..end])),
    }
}

fn push_inert(out: &mut String, c: char) {
    if is_unsafe(c) {
        write!(out, "<U+{:04X}>", u32::from(c)).expect("writing to a string does not fail");
    } else {
        out.push(c);
    }
}

/// Tells whether `c` is invisible and changes how other text is shown or read; joiners (U+200C,
/// U+200D) are spared, as scripts and emoji need them.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{AD}'
                | '\u{34F}'
                | '\u{61C}'
                | '\u{115F}'
                | '\u{1160}'
                | '\u{180E}'
                | '\u{200B}'
                | '\u{200E}'
                | '\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{3164}'
                | '\u{FEFF}'
                | '\u{FFF9}'..='\u{FFFB}'
                | '\u{E0000}'..='\u{E007F}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_terminal_obeys_is_left() {
        let hostile = "a\u{1b}[31mred\u{9b}2J\r\n\tb\u{202e}c\u{2028}d 👩‍🚀\0";
        assert_eq!(
            visible(hostile),
            "a<U+001B>[31mred<U+009B>2J<U+000D>⏎⇥b<U+202E>c<U+2028>d 👩‍🚀<U+0000>"
        );
        assert_eq!(visible_lines("a\r\nb"), "a<U+000D>⏎\nb");
        assert_eq!(excerpt("äöü\u{1b}", 3), "äöü…");
    }
}
