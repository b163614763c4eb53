use std::fmt;

use serde::Deserialize;

use crate::text::ReplyText;

/// Words to look for, matched as whole words and without regard to case.
///
/// Punctuation and spacing between the words do not matter, but a phrase does not reach over the
/// end of a sentence unless it holds such an end itself. In scripts without spaces every
/// character counts as a word.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Phrase {
    text: String,
    sentences: Vec<Vec<String>>,
}

impl Phrase {
    /// Returns the phrase as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn is_in(&self, reply: &ReplyText) -> bool {
        match self.sentences.as_slice() {
            [words] => reply
                .sentences()
                .iter()
                .any(|sentence| holds(sentence, words)),
            several => holds(reply.words(), &several.concat()),
        }
    }
}

fn holds(text: &[String], words: &[String]) -> bool {
    text.windows(words.len()).any(|window| window == words)
}

impl TryFrom<String> for Phrase {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let sentences = ReplyText::new(&text).sentences().to_vec();
        if sentences.is_empty() {
            return Err(format!("`{text}` holds no word to look for; use `regex`"));
        }
        Ok(Self { text, sentences })
    }
}

/// One or more phrases; any of them counts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<Phrase>")]
pub struct Phrases(Vec<Phrase>);

impl Phrases {
    /// Returns the first of the phrases that `reply` says.
    pub(crate) fn find_in(&self, reply: &ReplyText) -> Option<&Phrase> {
        self.0.iter().find(|phrase| phrase.is_in(reply))
    }

    /// Returns the phrases in the rubric's order.
    pub fn iter(&self) -> impl Iterator<Item = &Phrase> {
        self.0.iter()
    }
}

impl TryFrom<Vec<Phrase>> for Phrases {
    type Error = String;

    fn try_from(phrases: Vec<Phrase>) -> Result<Self, String> {
        if phrases.is_empty() {
            return Err("names no phrase".to_owned());
        }
        Ok(Self(phrases))
    }
}

impl fmt::Display for Phrases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, phrase) in self.0.iter().enumerate() {
            let joint = if idx == 0 { "" } else { ", " };
            write!(f, "{joint}`{}`", phrase.text)?;
        }
        Ok(())
    }
}
