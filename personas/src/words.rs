use unicode_normalization::UnicodeNormalization as _;

/// Returns the words of `text`, NFKC-normalised and lower case: runs of letters and digits.
///
/// An apostrophe within a word is dropped, so that `don't` and `dont` are one word.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.nfkc().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            word.push(c);
        } else if !matches!(c, '\'' | '’') && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Words that say nothing of what a text is about.
const STOP_WORDS: &[&str] = &[
    "about",
    "after",
    "again",
    "also",
    "always",
    "because",
    "been",
    "before",
    "being",
    "both",
    "could",
    "does",
    "done",
    "each",
    "even",
    "ever",
    "every",
    "everything",
    "feel",
    "from",
    "gets",
    "have",
    "here",
    "into",
    "just",
    "keep",
    "know",
    "last",
    "like",
    "long",
    "make",
    "many",
    "more",
    "most",
    "much",
    "must",
    "never",
    "next",
    "only",
    "other",
    "over",
    "really",
    "said",
    "same",
    "should",
    "some",
    "still",
    "such",
    "sure",
    "takes",
    "than",
    "that",
    "them",
    "then",
    "there",
    "they",
    "thing",
    "things",
    "think",
    "this",
    "very",
    "want",
    "were",
    "what",
    "when",
    "where",
    "which",
    "while",
    "will",
    "with",
    "would",
    "your",
    "once",
    "tried",
    "help",
    "time",
    "good",
    "need",
    "start",
    "sounds",
    "come",
    "comes",
    "went",
    "used",
    "best",
    "first",
    "half",
];

/// Returns the words of `text` with four letters or more that carry its content.
pub(crate) fn content_words(text: &str) -> Vec<String> {
    words(text)
        .into_iter()
        .filter(|word| word.chars().count() >= 4 && !STOP_WORDS.contains(&word.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{content_words, words};

    #[test]
    fn words_are_normalised() {
        assert_eq!(words("Ｄon't — STOP,  now4!"), ["dont", "stop", "now4"]);
        assert_eq!(
            content_words("I drink three cups of coffee."),
            ["drink", "three", "cups", "coffee"]
        );
        assert!(words(" …—").is_empty());
    }
}
