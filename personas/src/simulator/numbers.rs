const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];

const TENS: [&str; 8] = [
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];

/// What is counted where a number written in words is a fact and not a manner of speaking.
const UNITS: &[&str] = &[
    "year",
    "years",
    "month",
    "months",
    "week",
    "weeks",
    "day",
    "days",
    "hour",
    "hours",
    "minute",
    "minutes",
    "child",
    "children",
    "kid",
    "kids",
    "brothers",
    "sisters",
    "people",
    "times",
    "euro",
    "euros",
    "dollar",
    "dollars",
    "pounds",
    "percent",
    "kilos",
    "kilometres",
    "miles",
    "hundred",
    "thousand",
];

/// Reads a word as a number, written in digits or in words.
pub(super) fn number(word: &str) -> Option<u64> {
    in_digits(word).or_else(|| in_words(word))
}

/// Returns the numbers among a text's `words` that say something of the world: all in digits, and
/// those in words that count something; each with its words.
pub(super) fn counted(words: &[String]) -> Vec<(u64, String)> {
    let mut counted = Vec::new();
    for (idx, word) in words.iter().enumerate() {
        let unit = words
            .get(idx + 1)
            .filter(|next| UNITS.contains(&next.as_str()));
        match (in_digits(word), in_words(word), unit) {
            (Some(n), _, _) => counted.push((n, word.clone())),
            // "One day" and "a hundred times" tell nothing.
            (None, Some(n), Some(unit)) if n > 1 => counted.push((n, format!("{word} {unit}"))),
            _ => {}
        }
    }
    counted
}

/// Reads the digits a word begins with: `7pm` is 7.
fn in_digits(word: &str) -> Option<u64> {
    let end = word
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(word.len());
    if end == 0 {
        return None;
    }
    word[..end].parse().ok()
}

fn in_words(word: &str) -> Option<u64> {
    if !(3..=9).contains(&word.len()) {
        return None;
    }
    let place = |names: &[&str]| names.iter().position(|name| *name == word);
    let small = place(&SMALL).map(|n| n as u64);
    small.or_else(|| place(&TENS).map(|n| 10 * (n as u64 + 2)))
}

#[cfg(test)]
mod tests {
    use super::{counted, number};
    use crate::words::words;

    #[test]
    fn numbers_are_read_in_digits_and_words() {
        let said = words("At 7pm, for Twenty minutes, in 2019.");
        let numbers: Vec<u64> = said.iter().filter_map(|word| number(word)).collect();
        assert_eq!(numbers, [7, 20, 2019]);
        let found = counted(&words(
            "Two things: I have three kids, one day in 1999 at 5.",
        ));
        let expected = [(3, "three kids"), (1999, "1999"), (5, "5")];
        assert_eq!(found, expected.map(|(n, words)| (n, words.to_owned())));
    }
}
