//! A template's source made ready for the engine: transformers' own block `{% generation %}` put in
//! terms of Jinja's `{% call %}`, and operators bounded.

use std::fmt::Write as _;

use super::operators;
use super::sandbox::WRITTEN;

/// The function a generation block becomes a call of.
pub(super) const FUNCTION: &str = "__generation__";

/// A template's source in which generation blocks are call blocks.
pub(super) struct Rewritten {
    pub(super) source: String,
    /// Whether there was any.
    pub(super) found: bool,
    /// The parts of the longest tag.
    pub(super) longest: usize,
    /// Whether all text is counted where it is written.
    pub(super) counted: bool,
}

/// Bytes from which a piece of the template's own text is counted where it is written; macros and
/// captures can write and keep it at every turn of a loop.
pub(super) const COUNTED: usize = 256;

/// Replaces the two tags' names and bounds operators, so that lines and whitespace control stay.
///
/// Strings, comments and raw blocks are left alone. What cannot be made out (an unclosed tag) is
/// left for the parser to complain about.
pub(super) fn rewrite(source: &str) -> Rewritten {
    let mut out = String::with_capacity(source.len() + 64);
    let mut found = false;
    let mut longest = 0;
    let mut counted = true;
    let mut rest = source;
    while let Some(start) = opening(rest) {
        let (text, tag) = rest.split_at(start);
        counted &= count(text, &mut out);
        let length = match tag.as_bytes()[1] {
            b'#' => tag[2..].find("#}").map(|end| end + 4),
            b'%' if tag_name(tag).is_some_and(|(name, _)| name == "raw") => raw_end(tag),
            kind => tag_end(tag, if kind == b'%' { *b"%}" } else { *b"}}" }),
        };
        let Some(length) = length else {
            out.push_str(tag);
            return Rewritten {
                source: out,
                found,
                longest,
                counted,
            };
        };
        let is_text =
            tag.as_bytes()[1] == b'#' || tag_name(tag).is_some_and(|(name, _)| name == "raw");
        let (tag, after) = tag.split_at(length);
        rest = after;
        if is_text {
            if tag.as_bytes()[1] == b'%' && length >= COUNTED {
                let sign = tag[2..].starts_with(['-', '+']).then(|| &tag[2..3]);
                let sign = sign.unwrap_or_default();
                // A tag takes away the white space that a raw block does.
                let _ = write!(out, "{{%{sign} if ''|{WRITTEN}({length}) %}}{{% endif %}}");
            }
            out.push_str(tag);
            continue;
        }
        let replaced = tag_name(tag).and_then(|(name, at)| {
            let word = match name {
                "generation" => format!("call {FUNCTION}()"),
                "endgeneration" => "endcall".to_owned(),
                _ => return None,
            };
            let (before, behind) = (&tag[..at], &tag[at + name.len()..]);
            let bare = behind.trim_matches(|c: char| c.is_ascii_whitespace());
            matches!(bare, "%}" | "-%}" | "+%}").then(|| format!("{before}{word}{behind}"))
        });
        found |= replaced.is_some();
        if let Some(tag) = replaced {
            out.push_str(&tag);
            continue;
        }
        // The brackets and the signs of whitespace control are no operators.
        let signs = ['-', '+'];
        let inside = &tag[2..tag.len() - 2];
        let begin = inside.len() - inside.strip_prefix(signs).unwrap_or(inside).len();
        let end = inside[begin..]
            .strip_suffix(signs)
            .map_or(inside.len(), |rest| begin + rest.len());
        out.push_str(&tag[..2 + begin]);
        longest = longest.max(operators::bound(&inside[begin..end], &mut out));
        out.push_str(&tag[2 + end..]);
    }
    counted &= count(rest, &mut out);
    Rewritten {
        source: out,
        found,
        longest,
        counted,
    }
}

/// Copies text to `out`, with an expression in it that counts it.
///
/// The expression stands amid what is no white space, so that tags beside the text take away as much
/// as before. Returns whether there is such a place, or no need.
fn count(text: &str, out: &mut String) -> bool {
    let after_last = text.trim_end().len();
    let is_apart = |c: char| c.is_whitespace() || matches!(c, '{' | '}');
    let mut pairs = text.char_indices().zip(text.chars().skip(1));
    let place = pairs.find_map(|((at, c), next)| {
        let behind = at + c.len_utf8();
        let fits = !is_apart(c) && !matches!(next, '{' | '}') && behind < after_last;
        fits.then_some(behind)
    });
    match place {
        Some(place) if text.len() >= COUNTED => {
            let (before, behind) = text.split_at(place);
            let length = text.len();
            let _ = write!(out, "{before}{{{{ ''|{WRITTEN}({length}) }}}}{behind}");
            true
        }
        _ => {
            out.push_str(text);
            text.len() < COUNTED
        }
    }
}

/// Returns where the next tag, expression or comment begins.
fn opening(text: &str) -> Option<usize> {
    text.as_bytes()
        .windows(2)
        .position(|pair| matches!(pair, b"{%" | b"{{" | b"{#"))
}

/// Returns a block tag's name and where it stands in it.
fn tag_name(tag: &str) -> Option<(&str, usize)> {
    let inner = tag.strip_prefix("{%")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    let inner = inner.trim_start_matches(|c: char| c.is_ascii_whitespace());
    let at = tag.len() - inner.len();
    let length = inner
        .bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        .count();
    Some((&inner[..length], at))
}

/// Returns where a tag or expression ends; strings in it may hold what looks like its end.
fn tag_end(tag: &str, end: [u8; 2]) -> Option<usize> {
    let bytes = tag.as_bytes();
    let mut at = 2;
    let mut depth = 0_usize;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'"' | b'\'') => {
                at += 1;
                while *bytes.get(at)? != quote {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            _ if depth == 0 && bytes[at..].starts_with(&end) => return Some(at + 2),
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Returns where a raw block ends, its closing tag included.
fn raw_end(tag: &str) -> Option<usize> {
    let mut at = tag_end(tag, *b"%}")?;
    loop {
        let next = at + tag[at..].find("{%")?;
        let length = tag_end(&tag[next..], *b"%}");
        match (tag_name(&tag[next..]), length) {
            (Some(("endraw", _)), Some(length)) => return Some(next + length),
            _ => at = next + 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::{COUNTED, rewrite};

    const LONG: &str = concat!(
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    );

    #[test]
    fn text_that_cannot_be_counted_is_told() {
        for (text, counted) in [(" ", false), ("{ ", false), ("a ", true), ("é{b", true)] {
            assert_eq!(rewrite(&text.repeat(COUNTED)).counted, counted, "{text}");
            assert!(rewrite(text).counted, "{text}");
        }
    }

    #[test_case("a{% generation %}b{% endgeneration %}", "a{% call __generation__() %}b{% endcall %}"; "plain")]
    #[test_case("{%-generation-%}b{%+  endgeneration\n-%}", "{%-call __generation__()-%}b{%+  endcall\n-%}"; "whitespace control")]
    #[test_case("{{ '{% generation %}' }}{% generation %}", "{{ '{% generation %}' }}{% call __generation__() %}"; "in a string")]
    #[test_case("{% set x = \"%}{% generation %}\" %}", "{% set x = \"%}{% generation %}\" %}"; "in a tag's string")]
    #[test_case("{# {% generation %} #}", "{# {% generation %} #}"; "in a comment")]
    #[test_case("{% raw %}{% generation %}{% endraw %}{% generation %}", "{% raw %}{% generation %}{% endraw %}{% call __generation__() %}"; "in a raw block")]
    #[test_case("{% raw %}it's{% endraw %}{% generation %}", "{% raw %}it's{% endraw %}{% call __generation__() %}"; "an apostrophe in a raw block")]
    #[test_case("{{ {'a': {}} }}{% generation %}", "{{ {'a': {}} }}{% call __generation__() %}"; "after braces")]
    #[test_case("{% generations %}{% generation x %}", "{% generations %}{% generation x %}"; "another tag")]
    #[test_case(&format!("{{% if a %}} a{{%- endif %}} {LONG}  {{% if b %}}"), &format!("{{% if a %}} a{{%- endif %}} x{{{{ ''|__written__(259) }}}}{}  {{% if b %}}", &LONG[1..]); "long text")]
    #[test_case(&format!("{{%- raw %}}{LONG}{{% endraw %}}"), &format!("{{%- if ''|__written__(278) %}}{{% endif %}}{{%- raw %}}{LONG}{{% endraw %}}"); "a long raw block")]
    #[test_case("{% generation", "{% generation"; "unclosed")]
    #[test_case("{{ 'é\\", "{{ 'é\\"; "unclosed string")]
    #[test_case("{%+ if a+b +%}{{-a~b-}}", "{%+ if a|__added__+b|__added__ +%}{{-a|__text__~b|__text__-}}"; "operators")]
    #[test_case("{#}a#}{{#}", "{#}a#}{{#}"; "odd brackets")]
    fn only_the_tags_change(source: &str, expected: &str) {
        assert_eq!(rewrite(source).source, expected);
    }
}
