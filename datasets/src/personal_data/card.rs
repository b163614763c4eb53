use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u:\b)[2-6](?:[ -]?[0-9]){12,18}(?-u:\b)").expect("the pattern is well formed")
});

/// Finds numbers of 13 to 19 digits with a right check digit.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let found = PATTERN.find_iter(text);
    let digits = |text: &str| -> Vec<u8> {
        let digits = text.bytes().filter(u8::is_ascii_digit);
        digits.map(|digit| digit - b'0').collect()
    };
    found
        .filter(|one| luhn(&digits(one.as_str())))
        .map(|one| one.range())
        .collect()
}

/// Tells whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B).
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, &digit)| match (index % 2, u32::from(digit)) {
            (0, digit) => digit,
            (_, digit) => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}
