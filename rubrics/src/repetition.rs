use std::collections::BTreeSet;

use crate::text::ReplyText;

/// Words in a row that count as a repeated turn of phrase when they come again.
const N: usize = 3;

/// Returns for each reply the share of its runs of three words that were said before, earlier in
/// the same reply or in an earlier one.
///
/// A reply shorter than three words is one run; one without a word repeats nothing.
pub(crate) fn repeated_shares(replies: &[ReplyText]) -> Vec<f64> {
    let mut said = BTreeSet::new();
    replies
        .iter()
        .map(|reply| {
            let words = reply.words();
            if words.is_empty() {
                return 0.0;
            }
            let runs: Vec<_> = words.windows(N.min(words.len())).collect();
            let again = runs.iter().filter(|run| !said.insert(**run)).count();
            again as f64 / runs.len() as f64
        })
        .collect()
}

/// Returns for each reply whether its first three words open no earlier reply.
pub(crate) fn fresh_openings(replies: &[ReplyText]) -> Vec<bool> {
    let mut openings = BTreeSet::new();
    replies
        .iter()
        .map(|reply| {
            let words = reply.words();
            openings.insert(&words[..N.min(words.len())])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{fresh_openings, repeated_shares};
    use crate::text::ReplyText;

    fn replies(texts: &[&str]) -> Vec<ReplyText> {
        texts.iter().map(|text| ReplyText::new(text)).collect()
    }

    #[test]
    fn runs_said_before_count_within_and_across_replies() {
        let shares = repeated_shares(&replies(&[
            "one two three four",
            "One, two, three!",
            "new words here and new words here",
            "ok",
            "ok",
            "",
        ]));
        assert_eq!(shares, [0.0, 1.0, 0.2, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn an_opening_is_fresh_once() {
        let fresh = fresh_openings(&replies(&[
            "It sounds like a lot.",
            "It sounds like more.",
            "It sounds hard.",
        ]));
        assert_eq!(fresh, [true, false, true]);
    }
}
