use std::fmt;

use serde::Deserialize;

use crate::repetition::{fresh_openings, repeated_shares};
use crate::text::ReplyText;
use crate::{Bounds, Pattern, Phrases, Share, ShareBounds, WordCount};

/// A deterministic check. Each is a question to one reply, answered yes or no; [`crate::Scope`]
/// says how many replies must say yes.
///
/// Words and sentences are counted alike in every language, see [`Phrases`] for how phrases match.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Says at least one of the phrases.
    Contains(Phrases),
    /// Says none of the phrases.
    Absent(Phrases),
    /// Matches the regular expression somewhere.
    Regex(Pattern),
    /// Matches the regular expression nowhere.
    NotRegex(Pattern),
    /// Has at least this many words.
    MinWords(WordCount),
    /// Has at most this many words.
    MaxWords(WordCount),
    /// Has a number of words within bounds.
    Words(Bounds),
    /// Holds a question mark of any script.
    AsksQuestion,
    /// Of its runs of three words, at most this share was said before: earlier in the reply or in
    /// an earlier reply.
    MaxRepetition(Share),
    /// Begins with three words that begin no earlier reply.
    FreshOpening,
    /// Is one JSON value and nothing else; a code fence around it is something else.
    ValidJson,
    /// Has a mean number of words a sentence within bounds.
    SentenceWords(Bounds),
    /// Has a share of its words in quotation marks within bounds.
    DialogueShare(ShareBounds),
}

/// What a check found in one reply.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) satisfied: bool,
    /// In words, e.g. `73 words`.
    pub(crate) found: String,
}

impl Check {
    /// Returns what the check finds in each reply, in order.
    pub(crate) fn run(&self, replies: &[ReplyText]) -> Vec<Finding> {
        match self {
            Self::MaxRepetition(most) => repeated_shares(replies)
                .into_iter()
                .map(|share| Finding {
                    satisfied: share <= most.get(),
                    found: format!("{share:.2} of its word runs repeated"),
                })
                .collect(),
            Self::FreshOpening => fresh_openings(replies)
                .into_iter()
                .map(|fresh| finding(fresh, "a fresh opening", "opens like an earlier reply"))
                .collect(),
            _ => replies.iter().map(|reply| self.run_on(reply)).collect(),
        }
    }

    fn run_on(&self, reply: &ReplyText) -> Finding {
        match self {
            Self::Contains(phrases) => match phrases.find_in(reply) {
                Some(phrase) => finding(true, &format!("says `{}`", phrase.as_str()), ""),
                None => finding(false, "", "says none of the phrases"),
            },
            Self::Absent(phrases) => match phrases.find_in(reply) {
                Some(phrase) => finding(false, "", &format!("says `{}`", phrase.as_str())),
                None => finding(true, "says none of the phrases", ""),
            },
            Self::Regex(pattern) => match pattern.find(reply.raw()) {
                Some(text) => finding(true, &format!("matches with `{}`", clipped(text)), ""),
                None => finding(false, "", "no match"),
            },
            Self::NotRegex(pattern) => match pattern.find(reply.raw()) {
                Some(text) => finding(false, "", &format!("matches with `{}`", clipped(text))),
                None => finding(true, "no match", ""),
            },
            Self::MinWords(least) => word_count(reply, Bounds::at_least(*least)),
            Self::MaxWords(most) => word_count(reply, Bounds::at_most(*most)),
            Self::Words(bounds) => word_count(reply, *bounds),
            Self::AsksQuestion => {
                finding(reply.asks_question(), "asks a question", "asks no question")
            }
            Self::ValidJson => {
                match serde_json::from_str::<serde::de::IgnoredAny>(reply.raw().trim()) {
                    Ok(_) => finding(true, "valid JSON", ""),
                    Err(error) => finding(false, "", &format!("not JSON: {error}")),
                }
            }
            Self::SentenceWords(bounds) => {
                let mean = reply.mean_sentence_words();
                Finding {
                    satisfied: bounds.contains(mean),
                    found: format!("{mean:.1} words a sentence"),
                }
            }
            Self::DialogueShare(bounds) => {
                let share = reply.dialogue_share();
                Finding {
                    satisfied: bounds.bounds().contains(share),
                    found: format!("{share:.2} of its words in dialogue"),
                }
            }
            Self::MaxRepetition(_) | Self::FreshOpening => {
                unreachable!("`run` answers the checks that look across replies")
            }
        }
    }
}

fn finding(satisfied: bool, if_satisfied: &str, if_not: &str) -> Finding {
    let found = if satisfied { if_satisfied } else { if_not };
    Finding {
        satisfied,
        found: found.to_owned(),
    }
}

fn word_count(reply: &ReplyText, bounds: Bounds) -> Finding {
    let count = reply.words().len();
    Finding {
        satisfied: bounds.contains(count as f64),
        found: format!("{count} words"),
    }
}

fn clipped(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST {
        text.to_owned()
    } else {
        text.chars().take(MOST).chain(['…']).collect()
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contains(phrases) => write!(f, "contains any of {phrases}"),
            Self::Absent(phrases) => write!(f, "contains none of {phrases}"),
            Self::Regex(pattern) => write!(f, "matches `{pattern}`"),
            Self::NotRegex(pattern) => write!(f, "does not match `{pattern}`"),
            Self::MinWords(least) => write!(f, "at least {} words", least.get()),
            Self::MaxWords(most) => write!(f, "at most {} words", most.get()),
            Self::Words(bounds) => write!(f, "{bounds} words"),
            Self::AsksQuestion => f.write_str("asks a question"),
            Self::MaxRepetition(most) => write!(f, "at most {most} of its word runs repeated"),
            Self::FreshOpening => f.write_str("opens unlike earlier replies"),
            Self::ValidJson => f.write_str("valid JSON"),
            Self::SentenceWords(bounds) => write!(f, "{bounds} words a sentence"),
            Self::DialogueShare(share) => {
                write!(f, "{} of its words in dialogue", share.bounds())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::Check;
    use crate::text::ReplyText;

    fn satisfied(check: &str, replies: &[&str]) -> Vec<bool> {
        let check: Check = shipworthy_schema::yaml::read(check, "check.yaml").unwrap();
        let replies: Vec<_> = replies.iter().map(|reply| ReplyText::new(reply)).collect();
        let findings = check.run(&replies);
        findings.into_iter().map(|f| f.satisfied).collect()
    }

    #[test_case("contains: [sounds like]", "That SOUNDS   like a lot", true; "contains, case and spacing")]
    #[test_case("contains: [sounds like]", "That sounds likely", false; "contains, whole words")]
    #[test_case("contains: [can you]", "I can. You said so.", false; "contains, not over a sentence end")]
    #[test_case("contains: ['no. never']", "No! Never.", true; "contains, phrase with an end of its own")]
    #[test_case("contains: [\"don't\"]", "I don\u{2019}t know", true; "contains, curly apostrophe")]
    #[test_case("contains: [straße]", "In der STRASSE nicht, auf der Straße", true; "contains, german")]
    #[test_case("contains: [医生]", "请去看医生。", true; "contains, chinese")]
    #[test_case("contains: [डॉक्टर]", "आप डॉक्टर से मिलें।", true; "contains, hindi")]
    #[test_case("contains: [café]", "un cafe\u{301} noir", true; "contains, decomposed accent")]
    #[test_case("absent: [guaranteed, врач]", "I am sure it helps", true; "absent, yes")]
    #[test_case("absent: [guaranteed, врач]", "Это Врач.", false; "absent, cyrillic")]
    #[test_case("absent: [guaranteed]", "gua\u{ad}ran\u{200b}teed!", false; "absent, invisible characters")]
    #[test_case("regex: '\\b\\d{4}\\b'", "In 1984 it was", true; "regex, yes")]
    #[test_case("regex: '\\b\\d{4}\\b'", "In 84 it was", false; "regex, no")]
    #[test_case("not_regex: '(?i)https?://'", "see HTTP://x", false; "not_regex, no")]
    #[test_case("not_regex: '(?i)https?://'", "see the book", true; "not_regex, yes")]
    #[test_case("min_words: 3", "one two three", true; "min_words, yes")]
    #[test_case("min_words: 3", "one, two", false; "min_words, no")]
    #[test_case("max_words: 3", "one two three", true; "max_words, yes")]
    #[test_case("max_words: 3", "一二三四", false; "max_words, chinese")]
    #[test_case("words: {min: 2, max: 3}", "one two", true; "words, yes")]
    #[test_case("words: {min: 2, max: 3}", "one", false; "words, no")]
    #[test_case("asks_question", "¿Qué tal?", true; "asks, yes")]
    #[test_case("asks_question", "Go on.", false; "asks, no")]
    #[test_case("max_repetition: 0.3", "a b c d e f g", true; "repetition, yes")]
    #[test_case("max_repetition: 0.3", "so it is so it is so it is", false; "repetition, no")]
    #[test_case("valid_json", " {\"a\": [1, null]}\n", true; "json, yes")]
    #[test_case("valid_json", "{\"a\": 1,}", false; "json, no")]
    #[test_case("valid_json", "```json\n{}\n```", false; "json, fenced")]
    #[test_case("sentence_words: {max: 3}", "One two. One two three four.", true; "sentences, yes")]
    #[test_case("sentence_words: {max: 3}", "One two three four.", false; "sentences, no")]
    #[test_case("sentence_words: {max: 3}", "你好。再见。", true; "sentences, chinese")]
    #[test_case("dialogue_share: {min: 0.2, max: 0.6}", "„Geh heim“, sagte er.", true; "dialogue, yes")]
    #[test_case("dialogue_share: {min: 0.2}", "Er ging heim.", false; "dialogue, no")]
    fn one_reply(check: &str, reply: &str, expected: bool) {
        assert_eq!(satisfied(check, &[reply]), [expected]);
    }

    #[test]
    fn repetition_and_openings_look_across_replies() {
        let replies = ["What would help you now?", "What would help you then?"];
        assert_eq!(satisfied("max_repetition: 0.3", &replies), [true, false]);
        assert_eq!(satisfied("fresh_opening", &replies), [true, false]);
        assert_eq!(satisfied("max_words: 9", &replies), [true, true]);
    }

    #[test_case("contains: []", "check.yaml:1:11: field `contains`: names no phrase"; "no phrase")]
    #[test_case("absent: ['###']", "check.yaml:1:10: field `absent[0]`: `###` holds no word to look for; use `regex`"; "no word")]
    #[test_case("max_words: 0", "check.yaml:1:12: field `max_words`: 0 words is no bound; use at least 1"; "no words")]
    #[test_case("words: {}", "check.yaml:1:8: field `words`: give `min`, `max` or both"; "no bound")]
    #[test_case("words: {min: 9, max: 3}", "check.yaml:1:8: field `words`: `min` 9 is above `max` 3"; "bounds crossed")]
    #[test_case("dialogue_share: {min: 20}", "check.yaml:1:17: field `dialogue_share`: 20 is not a share between 0 and 1"; "percent")]
    #[test_case("max_repetition: 1.5", "check.yaml:1:17: field `max_repetition`: 1.5 is not between 0 and 1"; "share above 1")]
    #[test_case("regex: '('", "check.yaml:1:8: field `regex`: `(` is not a regular expression: unclosed group"; "bad regex")]
    #[test_case("regex: '(a{999}){999}'", "check.yaml:1:8: field `regex`: `(a{999}){999}` is not a regular expression: compiled regex exceeds size limit of 1048576 bytes"; "huge regex")]
    fn a_wrong_check_says_what_is_wrong(check: &str, message: &str) {
        let error = shipworthy_schema::yaml::read::<Check>(check, "check.yaml").unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}
