//! Text made safe for Markdown and for the HTML it becomes.

use crate::inert_text::one_line;

/// Breaks up what renderers recognise only after escapes are resolved: links and mentions.
const ZERO_WIDTH_SPACE: char = '\u{200B}';

/// Returns `text` on one line, rendering as exactly that text anywhere in a line or table cell.
///
/// Escapes what makes emphasis, code, links, images, tables, HTML, entities and mathematics, and at
/// the start also what makes headings, lists and quotes. Bare addresses and mentions cannot be
/// escaped: renderers look for them in the finished text, so a zero-width space keeps them from
/// being recognised.
pub(crate) fn escaped(text: &str) -> String {
    let line = one_line(text);
    let mut markdown = String::with_capacity(line.len() + 16);
    if starts_block(&line) {
        // An escaped digit would show its backslash; the list marker behind it is what counts.
        let n_digits = line.bytes().take_while(u8::is_ascii_digit).count();
        markdown.push_str(&line[..n_digits]);
        markdown.push('\\');
        push_escaped(&line[n_digits..], &mut markdown);
    } else {
        push_escaped(&line, &mut markdown);
    }
    markdown
}

fn push_escaped(line: &str, markdown: &mut String) {
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let is_special = matches!(
            c,
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '$' | '#'
        );
        if is_special {
            markdown.push('\\');
        }
        let ends_www = c == '.'
            && markdown
                .get(markdown.len().saturating_sub(3)..)
                .is_some_and(|tail| tail.eq_ignore_ascii_case("www"));
        markdown.push(c);
        if c == '@' || ends_www || (c == ':' && chars.peek() == Some(&'/')) {
            markdown.push(ZERO_WIDTH_SPACE);
        }
    }
}

/// Tells whether `line` begins with a list marker, a heading's underline, a thematic break or a
/// directive. All other blocks begin with a character that is escaped everywhere.
fn starts_block(line: &str) -> bool {
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_numbered = rest.len() < line.len() && rest.starts_with(['.', ')']);
    is_numbered || line.starts_with(['-', '+', '=', ':'])
}

/// Returns `text` on one line as a code span, in which nothing is Markdown or a link. Not for table
/// cells, where `|` would still count. Backticks become apostrophes.
pub(crate) fn code(text: &str) -> String {
    format!("`{}`", one_line(text).replace('`', "'"))
}

#[cfg(test)]
mod tests {
    use super::{code, escaped};
    use test_case::test_case;

    #[test_case("I'm fine, really (see 3.1)!", "I'm fine, really (see 3.1)!"; "prose stays")]
    #[test_case("<script>&lt;", r"\<script\>\&lt;"; "html")]
    #[test_case("a|b `c` *d* _e_ ~~f~~", r"a\|b \`c\` \*d\* \_e\_ \~\~f\~\~"; "inline markup")]
    #[test_case("![x](y) [z](w)", r"!\[x\](y) \[z\](w)"; "images and links")]
    #[test_case("# h", r"\# h"; "heading")]
    #[test_case("- item", r"\- item"; "bullet")]
    #[test_case("1. item", r"1\. item"; "number")]
    #[test_case("12) item", r"12\) item"; "number with parenthesis")]
    #[test_case("===", r"\==="; "underline")]
    #[test_case("::error::x", r"\: :error: :x"; "workflow command")]
    #[test_case("a\n\n# b", r"a \# b"; "new lines")]
    #[test_case("\\<b>", r"\\\<b\>"; "backslash")]
    #[test_case("https://e.x", "https:\u{200b}//e.x"; "bare address")]
    #[test_case("WWW.e.x", "WWW.\u{200b}e.x"; "bare host")]
    #[test_case("@team a@b.c", "@\u{200b}team a@\u{200b}b.c"; "mention and mail")]
    fn text_is_inert(text: &str, expected: &str) {
        assert_eq!(escaped(text), expected);
    }

    #[test]
    fn code_cannot_be_left() {
        assert_eq!(code("a`b\n`c"), "`a'b 'c`");
    }
}
