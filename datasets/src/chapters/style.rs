use serde::Serialize;
use unicode_segmentation::UnicodeSegmentation as _;

/// How an author writes, as far as it can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Style {
    /// Words of a sentence, on average.
    pub words_per_sentence: f64,
    /// The share of characters within quotation marks, between 0 and 1.
    pub dialogue: f64,
}

impl Style {
    /// Measures texts; none of them has a say of its own.
    pub fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let (mut words, mut sentences, mut quoted, mut characters) = (0, 0, 0, 0);
        for text in texts {
            let text = &super::sentences::unwrapped(text);
            words += text.unicode_words().count();
            sentences += text.unicode_sentences().count();
            quoted += quoted_characters(text);
            characters += text.chars().count();
        }
        Self {
            words_per_sentence: words as f64 / f64::max(sentences as f64, 1.0),
            dialogue: quoted as f64 / f64::max(characters as f64, 1.0),
        }
    }

    /// Describes it to a model, as its system message.
    pub fn system(self) -> String {
        let sentences = match self.words_per_sentence {
            words if words < 12.0 => "short, concise",
            words if words < 20.0 => "medium-length",
            _ => "long, flowing",
        };
        let balance = match self.dialogue {
            share if share < 0.15 => "mostly narrative and little dialogue",
            share if share < 0.4 => "narrative and dialogue in balance",
            _ => "mostly dialogue",
        };
        format!("You are an author who writes {sentences} sentences, with {balance}.")
    }
}

/// What a user asks for where a piece of a chapter is the reply.
#[derive(Clone, Debug, Default)]
pub struct StylePrompts {
    /// Taken in turn; without any, what the piece is like decides.
    pub own: Vec<String>,
}

impl StylePrompts {
    /// Returns the request for a piece; `index` is its place in the chapter, from 0.
    pub(super) fn prompt(&self, text: &str, index: usize) -> &str {
        if !self.own.is_empty() {
            return &self.own[index % self.own.len()];
        }
        let is_dialogue = Style::of([text].into_iter()).dialogue >= 0.3;
        match (index, is_dialogue) {
            (0, true) => "Open a chapter with people talking.",
            (0, false) => "Open a chapter with narration.",
            (_, true) => "Continue the scene; let the people talk.",
            (_, false) => "Continue the scene in narration.",
        }
    }
}

/// Counts characters between quotation marks, paragraph by paragraph.
fn quoted_characters(text: &str) -> usize {
    let mut count = 0;
    for paragraph in text.lines() {
        let mut closing = None;
        let mut inside = 0;
        for c in paragraph.chars() {
            match closing {
                Some(mark) if c == mark || (mark == '”' && c == '“') => {
                    count += inside;
                    closing = None;
                }
                Some(_) => inside += 1,
                None => {
                    closing = match c {
                        '"' => Some('"'),
                        '“' | '„' => Some('”'),
                        '«' => Some('»'),
                        '»' => Some('«'),
                        '「' => Some('」'),
                        _ => None,
                    };
                    inside = 0;
                }
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_and_dialogue_are_measured() {
        let style = Style::of(["He sat down. \"Go on,\" she said.", "„Ja“"].into_iter());
        assert!(
            (style.words_per_sentence - 8.0 / 3.0).abs() < 1e-9,
            "{style:?}"
        );
        assert!((style.dialogue - 8.0 / 35.0).abs() < 1e-9, "{style:?}");
        assert_eq!(
            style.system(),
            "You are an author who writes short, concise sentences, with narrative and dialogue in balance."
        );
        let prompts = StylePrompts::default();
        let talk = "“Who is there?” “Nobody is.”";
        assert_eq!(
            prompts.prompt(talk, 0),
            "Open a chapter with people talking."
        );
        assert_eq!(
            prompts.prompt("It rained.", 3),
            "Continue the scene in narration."
        );
        let own = StylePrompts {
            own: vec!["a".to_owned(), "b".to_owned()],
        };
        assert_eq!(own.prompt("", 3), "b");
    }
}
