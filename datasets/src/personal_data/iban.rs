use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// Characters of an account number by country, of the IBAN registry (SWIFT, release 99).
const LENGTHS: [(&str, usize); 76] = [
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NL", 18),
    ("NO", 15),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("SA", 24),
    ("SC", 31),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("XK", 20),
];

static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u:\b)[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}")
        .expect("the pattern is well formed")
});

/// Finds account numbers with the length of their country and right check digits.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let found = PATTERN.find_iter(text);
    found
        .filter_map(|one| {
            let length = length(&one.as_str()[..2])?;
            // What follows the number may look like more of it.
            let characters = one.as_str().char_indices().filter(|(_, c)| *c != ' ');
            let number: Vec<(usize, char)> = characters.take(length).collect();
            let (last, _) = *number.last().filter(|_| number.len() == length)?;
            let end = one.start() + last + 1;
            let goes_on = text[end..].starts_with(|c: char| c.is_ascii_alphanumeric());
            let is_right = checks(number.into_iter().map(|(_, c)| c));
            (is_right && !goes_on).then(|| one.start()..end)
        })
        .collect()
}

fn length(country: &str) -> Option<usize> {
    let found = LENGTHS.binary_search_by_key(&country, |(country, _)| country);
    found.ok().map(|index| LENGTHS[index].1)
}

/// Tells whether the number is 1 modulo 97, the first four characters moved to the end and letters
/// read as 10 to 35 (ISO 13616).
fn checks(characters: impl Iterator<Item = char> + Clone) -> bool {
    let moved = characters.clone().skip(4).chain(characters.take(4));
    let rest = moved.filter_map(|c| c.to_digit(36)).fold(0, |rest, value| {
        let shift = if value < 10 { 10 } else { 100 };
        (rest * shift + value) % 97
    });
    rest == 1
}
