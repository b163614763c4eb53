use unicode_normalization::UnicodeNormalization as _;

/// Returns the words of `text`, NFKC-normalised and lower case: runs of letters and digits.
///
/// An apostrophe within a word is dropped, so that `don't` and `dont` are one word.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::with_capacity(text.len() / 5);
    each_word(text, |word| {
        words.push(word.to_owned());
        true
    });
    words
}

/// Tells whether `text` has the words of `other` and no others, in the same order.
pub(crate) fn has_words(text: &str, other: &[String]) -> bool {
    let mut other = other.iter();
    let mut is_same = true;
    each_word(text, |word| {
        is_same = other.next().is_some_and(|other| other == word);
        is_same
    });
    is_same && other.next().is_none()
}

/// Adds to `lines` one more, of the words of `text`, each between spaces.
pub(crate) fn add_line(text: &str, lines: &mut String) {
    lines.push(' ');
    each_word(text, |word| {
        lines.push_str(word);
        lines.push(' ');
        true
    });
    lines.push('\n');
}

/// Hands the words of `text` to `found` until it returns `false`.
fn each_word(text: &str, mut found: impl FnMut(&str) -> bool) {
    let mut word = String::new();
    // Normalisation changes nothing in ASCII and joins nothing across a space.
    for part in text.split_ascii_whitespace() {
        let goes_on = if part.is_ascii() {
            let lower = part.bytes().map(|b| char::from(b.to_ascii_lowercase()));
            each_run(lower, &mut word, &mut found)
        } else {
            let lower = part.nfkc().flat_map(char::to_lowercase);
            each_run(lower, &mut word, &mut found)
        };
        if !goes_on {
            return;
        }
    }
}

fn each_run(
    text: impl Iterator<Item = char>,
    word: &mut String,
    found: &mut impl FnMut(&str) -> bool,
) -> bool {
    word.clear();
    for c in text {
        if c.is_alphanumeric() {
            word.push(c);
        } else if !matches!(c, '\'' | '’') && !word.is_empty() {
            if !found(word) {
                return false;
            }
            word.clear();
        }
    }
    word.is_empty() || found(word)
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
    use proptest::{prop_assert_eq, proptest};
    use unicode_normalization::UnicodeNormalization as _;

    use super::{content_words, has_words, words};

    /// The definition, without a shortcut for ASCII.
    fn normalised(text: &str) -> Vec<String> {
        let text: String = text.nfkc().flat_map(char::to_lowercase).collect();
        text.replace(['\'', '’'], "")
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    }

    proptest! {
        #[test]
        fn parts_have_the_words_of_the_whole(text in "[aZ9 '’é\u{301}ﬁ²Ⅳ\u{a0}\u{345}İß—.\n\t]{0,24}") {
            prop_assert_eq!(words(&text), normalised(&text));
        }

        #[test]
        fn words_are_compared_without_a_list_of_them(text in "[ab' ]{0,6}", other in "[ab' ]{0,6}") {
            prop_assert_eq!(has_words(&text, &words(&other)), words(&text) == words(&other));
        }
    }

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
