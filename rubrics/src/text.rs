use std::borrow::Cow;
use std::cell::OnceCell;

use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// A reply cut into sentences and words, whatever its language.
///
/// Words are those of Unicode Standard Annex 29 after compatibility normalisation (NFKC), in
/// lower case; a character of a script without spaces is a word of its own. Sentences end at a
/// line break or at the terminators of the Latin, Greek, Arabic, Devanagari, Armenian, Ethiopic,
/// Burmese, Khmer and CJK scripts. An abbreviation's full stop counts as an end too: the
/// statistics are comparable between models, not exact.
///
/// It is cut when somebody asks, for most rubrics have nothing that counts words.
#[derive(Clone, Debug)]
pub(crate) struct ReplyText {
    raw: String,
    sentences: OnceCell<Vec<Vec<String>>>,
    words: OnceCell<Vec<String>>,
}

impl ReplyText {
    pub(crate) fn new(raw: &str) -> Self {
        Self {
            raw: raw.to_owned(),
            sentences: OnceCell::new(),
            words: OnceCell::new(),
        }
    }

    /// Returns the reply as the model wrote it.
    pub(crate) fn raw(&self) -> &str {
        &self.raw
    }

    /// Returns the sentences that hold a word.
    pub(crate) fn sentences(&self) -> &[Vec<String>] {
        self.sentences.get_or_init(|| {
            split_sentences(&normalised(&self.raw))
                .into_iter()
                .map(|sentence| words_of(&sentence))
                .filter(|words| !words.is_empty())
                .collect()
        })
    }

    pub(crate) fn words(&self) -> &[String] {
        self.words.get_or_init(|| self.sentences().concat())
    }

    /// Returns the mean number of words in a sentence; 0 for a reply without a word.
    pub(crate) fn mean_sentence_words(&self) -> f64 {
        match self.sentences().len() {
            0 => 0.0,
            sentences => self.words().len() as f64 / sentences as f64,
        }
    }

    /// Tells whether the reply holds a question mark that is not inside a word or an address.
    pub(crate) fn asks_question(&self) -> bool {
        let mut chars = self.raw.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                // Armenian and Ethiopic put theirs inside or after the word; U+037E is the Greek
                // one.
                '？' | '؟' | '՞' | '፧' | '⸮' | '⁇' | '⁈' | '⁉' | '‽' | '\u{37e}' => {
                    return true;
                }
                '?' if !chars.peek().is_some_and(|next| continues_address(*next)) => return true,
                _ => {}
            }
        }
        false
    }

    /// Returns the share of words that stand inside quotation marks or in a line that an em dash
    /// opens; 0 for a reply without a word.
    ///
    /// A quotation counts once it is closed, and ends at the latest with its line, so that an
    /// inch mark does not turn the rest into speech.
    pub(crate) fn dialogue_share(&self) -> f64 {
        let mut spoken = 0;
        let mut all = 0;
        for line in normalised(&self.raw).lines() {
            let quoted = quoted_ranges(line);
            for (at, _) in line.unicode_word_indices() {
                all += 1;
                if quoted.iter().any(|range| range.contains(&at)) {
                    spoken += 1;
                }
            }
        }
        if all == 0 {
            0.0
        } else {
            f64::from(spoken) / f64::from(all)
        }
    }
}

/// Drops invisible characters that would split a word only for us, and normalises the rest.
fn normalised(text: &str) -> Cow<'_, str> {
    // Neither is in ASCII.
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    text.chars()
        .filter(|c| !matches!(c, '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}'))
        .nfkc()
        .collect()
}

fn words_of(text: &str) -> Vec<String> {
    text.unicode_words()
        .map(|word| word.to_lowercase().replace('\u{2019}', "'"))
        .collect()
}

fn continues_address(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '=' | '&' | '%' | '/' | '_')
}

fn split_sentences(text: &str) -> Vec<String> {
    let mut sentences = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        let current = sentences.last_mut().expect("it begins with one sentence");
        let ends = match c {
            '\n' | '\u{2028}' | '\u{2029}' => true,
            // The stop of `3.5` or `example.com` is none, nor is that of a list's `1.`.
            '.' => {
                let numbering = !current.trim().is_empty()
                    && current.trim().chars().all(|c| c.is_ascii_digit());
                !numbering && next.is_none_or(|next| !next.is_alphanumeric())
            }
            '!' | '?' => !next.is_some_and(continues_address),
            _ => is_terminator(c),
        };
        current.push(c);
        if ends {
            sentences.push(String::new());
        }
    }
    sentences
}

fn is_terminator(c: char) -> bool {
    matches!(
        c,
        '。' | '।'
            | '॥'
            | '؟'
            | '۔'
            | '։'
            | '።'
            | '፧'
            | '፨'
            | '။'
            | '។'
            | '៕'
            | '‽'
            | '⸮'
    )
}

/// Returns the marks that may close what `open` opens; the same mark opens in one language and
/// closes in another.
fn closing_marks(open: char) -> &'static [char] {
    match open {
        '"' => &['"'],
        '“' | '”' => &['”'],
        '„' => &['“', '”'],
        '«' => &['»'],
        '»' => &['«', '»'],
        '‹' => &['›'],
        '›' => &['‹', '›'],
        '‘' => &['’'],
        '‚' => &['‘', '’'],
        '「' => &['」'],
        '『' => &['』'],
        _ => &[],
    }
}

fn quoted_ranges(line: &str) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    if line.trim_start().starts_with(['—', '―']) {
        ranges.push(0..line.len());
        return ranges;
    }
    let mut open: Option<(usize, &[char])> = None;
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        match open {
            // `’` inside a word is an apostrophe.
            Some((_, closers))
                if closers.contains(&c)
                    && !(c == '’' && next.is_some_and(char::is_alphanumeric)) =>
            {
                if let Some((start, _)) = open.take() {
                    ranges.push(start..at);
                }
            }
            Some(_) => {}
            None => {
                let closers = closing_marks(c);
                if !closers.is_empty() {
                    open = Some((at, closers));
                }
            }
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::ReplyText;

    #[test_case("", 0, 0; "empty")]
    #[test_case("Hello there. How are you?", 2, 5; "english")]
    #[test_case("It costs 3.5 euros at example.com. Fine!", 2, 7; "stops inside words")]
    #[test_case("1. Breathe\n2. Walk", 2, 4; "numbered list")]
    #[test_case("Wait... what?!", 2, 2; "runs of terminators")]
    #[test_case("你好。你怎么样？", 2, 6; "chinese")]
    #[test_case("नमस्ते। आप कैसे हैं?", 2, 4; "hindi")]
    #[test_case("مرحبا. كيف حالك؟", 2, 3; "arabic")]
    #[test_case("don\u{2019}t don't", 1, 2; "apostrophes")]
    fn sentences_and_words_are_counted_in_every_script(text: &str, sentences: usize, words: usize) {
        let text = ReplyText::new(text);
        assert_eq!(
            (text.sentences().len(), text.words().len()),
            (sentences, words),
            "{text:?}"
        );
    }

    #[test_case("She left.", 0.0; "none")]
    #[test_case("\"Go home\", he said.", 0.5; "straight")]
    #[test_case("“Go home”, he said.", 0.5; "english")]
    #[test_case("„Geh heim“, sagte er.", 0.5; "german")]
    #[test_case("«Va-t'en», dit il.", 0.5; "french")]
    #[test_case("»Gå hjem«, sagde han.", 0.5; "danish")]
    #[test_case("”Gå hem”, sa han.", 0.5; "swedish")]
    #[test_case("‘Don’t go’, she said.", 0.5; "single, with apostrophe")]
    #[test_case("「走」他说", 1.0 / 3.0; "chinese")]
    #[test_case("— Vete a casa", 1.0; "dash")]
    #[test_case("A 5\" nail and no more", 0.0; "unclosed")]
    fn dialogue_share_knows_the_marks(text: &str, share: f64) {
        let found = ReplyText::new(text).dialogue_share();
        assert!((found - share).abs() < 1e-12, "{found}");
    }

    #[test_case("How are you?", true)]
    #[test_case("Comment ça va ?", true)]
    #[test_case("你好吗？", true)]
    #[test_case("كيف حالك؟", true)]
    #[test_case("Ինչպե՞ս ես", true; "armenian")]
    #[test_case("He asked \"why?\"", true)]
    #[test_case("See https://example.com/?q=1", false)]
    #[test_case("Tell me more.", false)]
    fn question_marks(text: &str, asks: bool) {
        assert_eq!(ReplyText::new(text).asks_question(), asks);
    }
}
