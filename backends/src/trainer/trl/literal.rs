use std::fmt::Write as _;

use serde_json::Value;

/// Returns an expression of Python whose value is the JSON text of `value`.
///
/// It is a raw string between three quotes each, so that people can read it. The JSON in it is ASCII and has
/// no quote of that kind: every other character stands as an escape of JSON's, in strings, the only
/// place where it can be. No value can end the literal, and none can begin a line of it.
pub(super) fn json_literal(value: &Value) -> String {
    let json = serde_json::to_string_pretty(value).expect("a JSON value is plain data");
    let mut text = String::with_capacity(json.len() + 16);
    text.push_str("r'''\n");
    for c in json.chars() {
        if matches!(c, '\n' | ' '..='~') && c != '\'' {
            text.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text.push_str("\n'''");
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use test_case::test_case;

    use super::*;

    #[test_case("'''\nimport os; os.system('true')  # "; "the end of the literal")]
    #[test_case("\"\"\"\\\"; raise SystemExit"; "other quotes")]
    #[test_case("\\"; "a backslash at the end")]
    #[test_case("\\u0027\\n"; "escapes")]
    #[test_case("\n# ///\n# dependencies = [\"evil\"]\n# ///\n"; "a second header")]
    #[test_case("\u{2028}\u{85}\u{c}\r\0\u{7f}\u{1b}[31m"; "other ends of lines and control characters")]
    #[test_case("é漢😀\u{202e}"; "letters of others")]
    #[test_case("{x}{{}}%s$HOME`id`"; "templates")]
    fn no_text_becomes_code(text: &str) {
        let value = json!({ "run_name": text, text: 1 });
        let literal = json_literal(&value);
        let inner = literal.strip_prefix("r'''\n").unwrap();
        let inner = inner.strip_suffix("\n'''").unwrap();
        assert!(inner.is_ascii() && !inner.contains('\''), "{literal}");
        assert!(!inner.ends_with('\\'), "{literal}");
        let lines = inner.lines().collect::<Vec<_>>();
        let ends = [lines[0], lines[lines.len() - 1]];
        assert_eq!(ends, ["{", "}"]);
        let others = &lines[1..lines.len() - 1];
        assert_eq!(others.len(), 2, "{literal}");
        assert!(others.iter().all(|line| line.starts_with("  \"")));
        assert_eq!(serde_json::from_str::<Value>(inner).unwrap(), value);
    }
}
