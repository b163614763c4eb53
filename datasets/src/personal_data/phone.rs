use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

static INTERNATIONAL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\+[1-9](?:[ .\-/()]{0,2}[0-9]){6,14}(?-u:\b)").expect("the pattern is well formed")
});
static NORTH_AMERICAN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?:\([2-9][0-9]{2}\) ?|(?-u:\b)[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}(?-u:\b)",
    )
    .expect("the pattern is well formed")
});

/// Finds numbers that begin with a country's, of 8 to 15 digits (E.164), and North American ones.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let international = INTERNATIONAL.find_iter(text).filter(|one| {
        let digits = digits(one.as_str());
        digits.len() >= 8 && !(digits.starts_with('1') && is_fictional(&digits))
    });
    let north_american = NORTH_AMERICAN.find_iter(text);
    let north_american = north_american.filter(|one| !is_fictional(&digits(one.as_str())));
    international
        .chain(north_american)
        .map(|one| one.range())
        .collect()
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// Tells whether a number is 555-0100 to 555-0199 of any area, which stories use.
fn is_fictional(digits: &str) -> bool {
    let local = &digits[digits.len().saturating_sub(7)..];
    local.starts_with("55501")
}
