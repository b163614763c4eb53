use std::collections::{HashMap, HashSet};

use super::tokenizer_json::{Merge, TokenizerJson};

/// Scores that make llama.cpp merge as a list of merges says.
///
/// Of all neighbours whose concatenation is a token, llama.cpp merges those whose token has the
/// highest score first, the leftmost of equals. With each token's score the lower, the later its
/// first merge stands in the list, that is the order of the list, as far as every pair that makes a
/// token is in it ([`unlisted_merges`] counts those that are not). The numbers are those that
/// SentencePiece gives: 0 for the first token made, then −1, −2 and so on; after those come the
/// tokens that nothing is merged into, such as single characters. Up to 2^24 they are exact. Added
/// tokens are found before anything is merged and have no rank.
#[derive(Default)]
pub(super) struct Scores<'a>(HashMap<&'a str, usize>);

impl<'a> Scores<'a> {
    /// Ranks the tokens that the merges make.
    pub(super) fn new(json: &'a TokenizerJson) -> Self {
        let added = added(json);
        let mut ranks = HashMap::new();
        for merge in &json.model.merges.0 {
            let next = ranks.len();
            if !added.contains(merge.joined()) {
                ranks.entry(merge.joined()).or_insert(next);
            }
        }
        Self(ranks)
    }

    /// Returns how many tokens come of merges.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the score of a token that comes of a merge.
    pub(super) fn of(&self, text: &str) -> Option<f32> {
        // Not −0.
        self.0.get(text).map(|rank| 0.0 - *rank as f32)
    }
}

/// Bytes of a token beyond which its parts are not looked for: a file of one long token would
/// take the square of its length.
const LONGEST: usize = 128;

/// Counts the pairs of tokens that make a token and are not in the list of merges.
pub(super) fn unlisted_merges(json: &TokenizerJson) -> usize {
    let vocab = &json.model.vocab.0;
    let added = added(json);
    let merges = &json.model.merges.0;
    let listed: HashSet<(&str, &str)> = merges.iter().map(Merge::pair).collect();
    // A byte, or a token found before text is split, is never part of a merge.
    let merged = |text: &str| vocab.contains_key(text) && !added.contains(text) && !is_byte(text);
    let texts = vocab.keys().map(String::as_str).filter(|text| merged(text));
    texts
        .filter(|text| text.len() <= LONGEST)
        .map(|text| {
            let splits = text
                .char_indices()
                .skip(1)
                .map(|(index, _)| text.split_at(index));
            splits
                .filter(|pair| merged(pair.0) && merged(pair.1) && !listed.contains(pair))
                .count()
        })
        .sum()
}

fn added(json: &TokenizerJson) -> HashSet<&str> {
    let tokens = json.added_tokens.iter();
    tokens.map(|token| token.content.as_str()).collect()
}

/// Tells whether a token is SentencePiece's spelling of a byte, `<0x0A>`.
pub(super) fn is_byte(text: &str) -> bool {
    let digits = text
        .strip_prefix("<0x")
        .and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|it| it.len() == 2 && it.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
