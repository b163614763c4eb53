//! A template's source made ready for the engine: transformers' own block `{% generation %}` put in
//! terms of Jinja's `{% call %}`, and operators bounded.

use super::operators;

/// The function a generation block becomes a call of.
pub(super) const FUNCTION: &str = "__generation__";

/// A template's source in which generation blocks are call blocks.
pub(super) struct Rewritten {
    pub(super) source: String,
    /// Whether there was any.
    pub(super) found: bool,
    /// The parts of the longest tag.
    pub(super) longest: usize,
}

/// Replaces the two tags' names and bounds operators, so that lines and whitespace control stay.
///
/// Strings, comments and raw blocks are left alone. What cannot be made out (an unclosed tag) is
/// left for the parser to complain about.
pub(super) fn rewrite(source: &str) -> Rewritten {
    let mut out = String::with_capacity(source.len() + 64);
    let mut found = false;
    let mut longest = 0;
    let mut rest = source;
    while let Some(start) = opening(rest) {
        let (text, tag) = rest.split_at(start);
        out.push_str(text);
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
            };
        };
        let is_text =
            tag.as_bytes()[1] == b'#' || tag_name(tag).is_some_and(|(name, _)| name == "raw");
        let (tag, after) = tag.split_at(length);
        rest = after;
        if is_text {
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
    out.push_str(rest);
    Rewritten {
        source: out,
        found,
        longest,
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

    use super::rewrite;

    #[test_case("a{% generation %}b{% endgeneration %}", "a{% call __generation__() %}b{% endcall %}"; "plain")]
    #[test_case("{%-generation-%}b{%+  endgeneration\n-%}", "{%-call __generation__()-%}b{%+  endcall\n-%}"; "whitespace control")]
    #[test_case("{{ '{% generation %}' }}{% generation %}", "{{ '{% generation %}' }}{% call __generation__() %}"; "in a string")]
    #[test_case("{% set x = \"%}{% generation %}\" %}", "{% set x = \"%}{% generation %}\" %}"; "in a tag's string")]
    #[test_case("{# {% generation %} #}", "{# {% generation %} #}"; "in a comment")]
    #[test_case("{% raw %}{% generation %}{% endraw %}{% generation %}", "{% raw %}{% generation %}{% endraw %}{% call __generation__() %}"; "in a raw block")]
    #[test_case("{% raw %}it's{% endraw %}{% generation %}", "{% raw %}it's{% endraw %}{% call __generation__() %}"; "an apostrophe in a raw block")]
    #[test_case("{{ {'a': {}} }}{% generation %}", "{{ {'a': {}} }}{% call __generation__() %}"; "after braces")]
    #[test_case("{% generations %}{% generation x %}", "{% generations %}{% generation x %}"; "another tag")]
    #[test_case("{% generation", "{% generation"; "unclosed")]
    #[test_case("{{ 'é\\", "{{ 'é\\"; "unclosed string")]
    #[test_case("{%+ if a+b +%}{{-a~b-}}", "{%+ if a|__added__+b|__added__ +%}{{-a|__text__~b|__text__-}}"; "operators")]
    #[test_case("{#}a#}{{#}", "{#}a#}{{#}"; "odd brackets")]
    fn only_the_tags_change(source: &str, expected: &str) {
        assert_eq!(rewrite(source).source, expected);
    }
}
