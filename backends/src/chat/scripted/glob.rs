/// Tells whether `text` fits `pattern`, where `*` stands for any run of characters, none included.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        // No star: the whole text must be the pattern.
        return rest.is_empty();
    };
    for part in parts {
        // The leftmost place leaves the most for the parts that follow.
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    #[test_case("coaching-9001", "coaching-9001", true)]
    #[test_case("coaching-9001", "coaching-90011", false)]
    #[test_case("coaching-*", "coaching-9001", true)]
    #[test_case("coaching-*", "coaching-", true)]
    #[test_case("*-9001", "support-9001", true)]
    #[test_case("a*b*c", "a-b-b-c", true)]
    #[test_case("a*b*c", "a-c", false)]
    #[test_case("ab*ba", "aba", false; "no character is used twice")]
    #[test_case("*", "", true)]
    #[test_case("", "", true)]
    #[test_case("", "x", false)]
    fn stars_stand_for_any_run(pattern: &str, text: &str, fits: bool) {
        assert_eq!(super::fits(pattern, text), fits);
    }
}
