//! Lists as Python writes them, for templates that make one as text.

use serde_json::Value;

/// Reads a Python list of strings and whole numbers, such as `['no', "it's"]`; `None` for anything else.
pub(super) fn list(text: &str) -> Option<Vec<Value>> {
    let mut rest = text.trim().strip_prefix('[')?.trim_start();
    let mut items = Vec::new();
    loop {
        if let Some(end) = rest.strip_prefix(']') {
            return end.trim().is_empty().then_some(items);
        }
        let (item, after) = item(rest)?;
        items.push(item);
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None if rest.starts_with(']') => {}
            None => return None,
        }
    }
}

fn item(text: &str) -> Option<(Value, &str)> {
    let quote = text.chars().next()?;
    if quote != '\'' && quote != '"' {
        let end = text.find([',', ']'])?;
        let number: i64 = text[..end].trim().parse().ok()?;
        return Some((number.into(), &text[end..]));
    }
    let mut said = String::new();
    let mut letters = text[1..].char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            letter if letter == quote => return Some((said.into(), &text[at + 2..])),
            '\n' => return None,
            '\\' => match letters.next()?.1 {
                'n' => said.push('\n'),
                't' => said.push('\t'),
                'r' => said.push('\r'),
                letter @ ('\\' | '\'' | '"') => said.push(letter),
                'x' => said.push(code(&mut letters, 2)?),
                'u' => said.push(code(&mut letters, 4)?),
                'U' => said.push(code(&mut letters, 8)?),
                _ => return None,
            },
            letter => said.push(letter),
        }
    }
    None
}

fn code(letters: &mut std::str::CharIndices<'_>, digits: usize) -> Option<char> {
    let mut number = 0;
    for _ in 0..digits {
        number = number * 16 + letters.next()?.1.to_digit(16)?;
    }
    char::from_u32(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use test_case::test_case;

    use super::*;

    #[test_case("[]", Some(&json!([])); "empty")]
    #[test_case("['no', \"it's\", ]", Some(&json!(["no", "it's"])); "texts")]
    #[test_case(r" ['a\n\'b\x41\u00e9'] ", Some(&json!(["a\n'bA\u{e9}"])); "escapes")]
    #[test_case("[0, 12]", Some(&json!([0, 12])); "numbers")]
    #[test_case("['é', 1]", Some(&json!(["é", 1])); "letters of several bytes")]
    #[test_case("['a' 'b']", None; "no comma")]
    #[test_case("['a", None; "no end")]
    #[test_case("[open('x')]", None; "code")]
    #[test_case("['a'] + ['b']", None; "more")]
    fn lists(text: &str, expected: Option<&Value>) {
        assert_eq!(list(text).map(Value::from).as_ref(), expected);
    }
}
