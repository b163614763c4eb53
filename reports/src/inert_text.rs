//! Text from models, judges and configurations, made harmless for whoever displays it.

/// Returns `text` on one line with nothing in it that a terminal or a CI log would obey.
///
/// Line breaks and runs of spaces become one space. Control characters, escape sequences,
/// direction marks and other invisible characters are shown as `<U+001B>`, so that an attack stays
/// visible. `::` and `##` no longer mean a command to CI systems (GitHub, Azure and others).
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_whitespace() {
            if !line.is_empty() && !line.ends_with(' ') {
                line.push(' ');
            }
        } else if is_unsafe(c) {
            line.push_str(&format!("<U+{:04X}>", u32::from(c)));
        } else {
            if matches!(c, ':' | '#') && line.ends_with(c) {
                line.push(' ');
            }
            line.push(c);
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Returns `text` with its lines, and with every character that is invisible and changes how others are
/// shown as `<U+202E>`, for pages whose script makes text of it.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        if is_unsafe(c) && !matches!(c, '\n' | '\t') {
            shown.push_str(&format!("<U+{:04X}>", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Returns the first `max_chars` characters of `text`, with an ellipsis where something is left
/// out; a cut falls between words if one ends in the last quarter.
pub(crate) fn cut(text: &str, max_chars: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(max_chars) else {
        return text.to_owned();
    };
    let head = &text[..end];
    let at_word = head.rfind(' ').filter(|space| space * 4 > end * 3);
    format!("{}…", head[..at_word.unwrap_or(end)].trim_end())
}

/// Returns JSON `text` with every character that a terminal, a CI log or a line-based reader could
/// obey written as an escape; the values stay the same.
///
/// Such characters stand only inside JSON strings, so replacing them in the finished text is safe.
/// U+2028, U+2029 and U+0085 are among them: some readers of JSON lines break lines there.
pub fn inert_json(text: &str) -> String {
    let is_plain = |b: u8| matches!(b, b'\n' | b' '..=b'~');
    if text.bytes().all(is_plain) && !text.contains("##") {
        return text.to_owned();
    }
    let mut json = String::with_capacity(text.len());
    let mut previous = ' ';
    for c in text.chars() {
        let is_layout = c == '\n';
        let breaks_lines = matches!(c, '\u{2028}' | '\u{2029}');
        let starts_command = c == '#' && previous == '#';
        if (is_unsafe(c) && !is_layout) || breaks_lines || starts_command {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                json.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            json.push(c);
        }
        previous = c;
    }
    json
}

/// Tells whether `c` is invisible and changes how other text is shown or read: control characters,
/// direction marks, fillers, tags. Joiners (U+200C, U+200D) are spared; scripts and emoji need them.
pub(crate) fn is_unsafe(c: char) -> bool {
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
                | '\u{202A}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{3164}'
                | '\u{FEFF}'
                | '\u{FFF9}'..='\u{FFFB}'
                | '\u{E0000}'..='\u{E007F}'
        )
}

#[cfg(test)]
mod tests {
    use super::{cut, inert_json, one_line, visible};
    use test_case::test_case;

    #[test_case("plain text, zoë 👩‍🚀", "plain text, zoë 👩‍🚀"; "harmless text stays")]
    #[test_case(" a\r\n\tb\u{2028}c ", "a b c"; "line breaks become spaces")]
    #[test_case("\u{1b}[31mred\u{9b}2J", "<U+001B>[31mred<U+009B>2J"; "escape sequences")]
    #[test_case("ab\u{202e}cd\u{200b}", "ab<U+202E>cd<U+200B>"; "direction marks")]
    #[test_case("::error::x ##[group]y ###", ": :error: :x # #[group]y # # #"; "workflow commands")]
    fn one_line_is_inert(text: &str, expected: &str) {
        assert_eq!(one_line(text), expected);
    }

    #[test]
    fn cut_prefers_word_boundaries_and_never_splits_a_character() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("some longer words", 13), "some longer…");
        assert_eq!(cut("ééééé", 3), "ééé…");
    }

    #[test]
    fn inert_json_keeps_the_value() {
        let value = "\u{1b}[0m \u{9b}x \u{202e}y \u{2028} ### \u{e0041} \\## \u{7f}";
        let json = inert_json(&serde_json::to_string(value).unwrap());
        assert!(json.is_ascii(), "{json}");
        assert!(!json.contains("##"), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), value);
    }

    #[test]
    fn pages_show_what_is_invisible_and_keep_lines() {
        let text = "a\r\n\tb\u{202e}c\u{1b}\n\u{200d}";
        assert_eq!(visible(text), "a\n\tb<U+202E>c<U+001B>\n\u{200d}");
    }
}
