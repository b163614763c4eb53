//! Bounds on what operators make, as the engine sets none.
//!
//! `x ~ x` in a loop doubles a text at every turn, so a few steps fill any memory. A filter is put
//! behind both operands of `~`, `+` and `*`; a filter binds tighter than any operator and
//! returns what it gets, so the expression means what it did. Another is put behind what is sliced,
//! as `x[1:]` copies nearly all of `x`.

use super::sandbox::{ADDED, FACTOR, SLICED, TEXT};

/// Words that are no operands.
const WORDS: [&str; 9] = [
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "else",
    "elif",
    "recursive",
];

/// Copies the inside of a tag or expression to `out`, with the filters put in.
///
/// Returns the number of its words, strings and signs.
pub(super) fn bound(inside: &str, out: &mut String) -> usize {
    let bytes = inside.as_bytes();
    let mut copied = 0;
    // Where the last operand ended, if the last token was one.
    let mut operand: Option<usize> = None;
    // For each open bracket, the filter that the operand after an operator is to get, or a slice.
    let mut wanted: Vec<Option<&str>> = vec![None];
    // For each open bracket, whether a subscript begins with it.
    let mut subscripts = vec![false];
    let mut at = 0;
    let mut parts = 0;
    while let Some(&byte) = bytes.get(at) {
        parts += usize::from(!byte.is_ascii_whitespace());
        let is_string = matches!(byte, b'"' | b'\'');
        let next = match byte {
            _ if is_string => string_end(bytes, at),
            _ if is_word(byte) => word_end(bytes, at),
            b'*' | b'/' | b'=' if bytes.get(at + 1) == Some(&byte) => at + 2,
            _ => at + 1,
        };
        let filter = match byte {
            b'~' => Some(TEXT),
            b'+' => Some(ADDED),
            b'*' if next == at + 1 => Some(FACTOR),
            _ => None,
        };
        if let (Some(filter), Some(end)) = (filter, operand) {
            put(out, &inside[copied..end], filter);
            copied = end;
            if let Some(wanted) = wanted.last_mut() {
                *wanted = Some(filter);
            }
        }
        match byte {
            b'(' | b'[' | b'{' => {
                wanted.push(None);
                subscripts.push(byte == b'[' && operand.is_some());
            }
            b')' | b']' | b'}' if wanted.len() > 1 => {
                wanted.pop();
                subscripts.pop();
            }
            b':' if subscripts.last() == Some(&true) => {
                let outer = wanted.len() - 2;
                wanted[outer].get_or_insert(SLICED);
            }
            _ => {}
        }
        let is_operand = match byte {
            b')' | b']' | b'}' => true,
            _ if is_word(byte) => !WORDS.contains(&&inside[at..next]),
            _ => is_string,
        };
        if is_operand {
            operand = Some(next);
            let follows = inside[next..].trim_start().bytes().next();
            let goes_on = matches!(follows, Some(b'.' | b'[' | b'('));
            let wanted = wanted.last_mut().filter(|_| !goes_on);
            if let Some(filter) = wanted.and_then(Option::take) {
                // A text that stands in the template is no danger, and may go on with another.
                if !is_string {
                    put(out, &inside[copied..next], filter);
                    copied = next;
                }
            }
        } else if !byte.is_ascii_whitespace() {
            operand = None;
        }
        at = next;
    }
    out.push_str(&inside[copied..]);
    parts
}

fn put(out: &mut String, text: &str, filter: &str) {
    out.push_str(text);
    out.push('|');
    out.push_str(filter);
}

fn word_end(bytes: &[u8], start: usize) -> usize {
    let length = bytes[start..].iter().take_while(|byte| is_word(**byte));
    start + length.count()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// Returns the byte after a string that begins at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            _ if byte == bytes[start] => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::bound;

    #[test_case("a ~ b.c ~ 'd' ", "a|__text__ ~ b.c|__text__|__text__ ~ 'd' "; "joining")]
    #[test_case("x[a+1](b)+-c", "x[a|__added__+1|__added__](b)|__added__+-c|__added__"; "brackets")]
    #[test_case("a ~ (b, [c])[0] if d", "a|__text__ ~ (b, [c])[0]|__text__ if d"; "groups")]
    #[test_case("2 * n ** 3", "2|__factor__ * n|__factor__ ** 3"; "products")]
    #[test_case("f(*a, **b)", "f(*a, **b)"; "arguments")]
    #[test_case("'a + b' and +c or not +d", "'a + b' and +c or not +d"; "no operators")]
    #[test_case("'é' ~ \"\\\"~\" 'x'", "'é'|__text__ ~ \"\\\"~\" 'x'"; "strings")]
    #[test_case("x[1:].y if z[:n[0]]", "x[1:].y|__sliced__ if z[:n[0]]|__sliced__"; "slices")]
    #[test_case("x[1:] ~ {'a': [b[c::-1]]}[d]", "x[1:]|__sliced__|__text__ ~ {'a': [b[c::-1]|__sliced__]}[d]|__text__"; "slices in brackets")]
    #[test_case("'open ~ x", "'open ~ x"; "an open string")]
    #[test_case("a ~ ) ) b", "a|__text__ ~ )|__text__ ) b"; "closed too often")]
    fn filters_are_put_before_operators(inside: &str, expected: &str) {
        let mut out = String::new();
        bound(inside, &mut out);
        assert_eq!(out, expected);
    }
}
