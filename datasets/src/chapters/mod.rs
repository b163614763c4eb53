//! Raw text made into examples of a style: chapters cut on borders of sentences.

mod chapter_file;
mod sentences;
mod style;

use serde_json::{Map, Value, json};

use crate::model_tokenizer::ModelTokenizer;
pub use chapter_file::read_chapter;
pub use style::{Style, StylePrompts};

/// How a chapter is cut.
#[derive(Clone, Copy, Debug)]
pub struct ChunkOptions {
    /// The most tokens of a piece.
    pub size: usize,
    /// The most tokens of whole sentences that a piece repeats of the one before it; less than `size`.
    pub overlap: usize,
}

/// A piece of a chapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its text.
    pub text: String,
    /// How many tokens it has.
    pub tokens: usize,
}

/// Cuts a text into pieces of whole sentences, each as long as fits.
///
/// A sentence that is longer than a piece is cut between words, a word that is, between characters.
pub fn chunks(text: &str, tokenizer: &ModelTokenizer, options: ChunkOptions) -> Vec<Chunk> {
    let count = |text: &str| match tokenizer.tokenizer().encode(text, false) {
        Ok(encoding) => encoding.get_ids().len(),
        // What cannot be encoded is given a byte a token, more than it can have.
        Err(_) => text.len(),
    };
    cut(text, &count, options)
}

/// Makes a piece into an example: the author's style, a request, and the piece as the reply.
pub fn chunk_row(
    chunk: &Chunk,
    index: usize,
    source: &str,
    system: &str,
    prompts: &StylePrompts,
) -> Map<String, Value> {
    let messages = json!([
        {"role": "system", "content": system},
        {"role": "user", "content": prompts.prompt(&chunk.text, index)},
        {"role": "assistant", "content": chunk.text},
    ]);
    let mut row = Map::new();
    row.insert("messages".to_owned(), messages);
    row.insert("source".to_owned(), source.into());
    row.insert("chunk".to_owned(), (index + 1).into());
    row
}

fn cut(text: &str, count: &dyn Fn(&str) -> usize, options: ChunkOptions) -> Vec<Chunk> {
    let text = sentences::unwrapped(text);
    let mut pieces: Vec<(&str, usize)> = Vec::new();
    for sentence in sentences::sentences(&text) {
        sentences::fitting(sentence, count, options.size, &mut pieces);
    }
    let mut chunks = Vec::new();
    let mut first = 0;
    while first < pieces.len() {
        // A chunk's own beginning is new: `first` is behind what the one before it ends with.
        let mut start = first;
        let mut tokens = 0;
        if !chunks.is_empty() {
            while start > 0 && tokens + pieces[start - 1].1 <= options.overlap {
                start -= 1;
                tokens += pieces[start].1;
            }
        }
        // Room for what is new goes before repetition.
        while start < first && tokens + pieces[first].1 > options.size {
            tokens -= pieces[start].1;
            start += 1;
        }
        let mut end = first;
        while end < pieces.len() && (end == first || tokens + pieces[end].1 <= options.size) {
            tokens += pieces[end].1;
            end += 1;
        }
        // Pieces together can have a token more than one by one.
        let mut whole = joined(&pieces[start..end]);
        let mut tokens = count(&whole);
        while tokens > options.size && end - start > 1 {
            if end - first > 1 {
                end -= 1;
            } else {
                start += 1;
            }
            whole = joined(&pieces[start..end]);
            tokens = count(&whole);
        }
        if !whole.is_empty() {
            chunks.push(Chunk {
                text: whole,
                tokens,
            });
        }
        first = end;
    }
    chunks
}

fn joined(pieces: &[(&str, usize)]) -> String {
    let whole: String = pieces.iter().map(|(text, _)| *text).collect();
    whole.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> usize {
        text.split_whitespace().count()
    }

    #[test]
    fn pieces_are_whole_sentences_and_repeat_the_last_ones() {
        let text = "One two three. Four five! Six seven eight?\n\nNine ten. Eleven";
        let options = ChunkOptions {
            size: 6,
            overlap: 3,
        };
        let found = cut(text, &words, options);
        let texts: Vec<&str> = found.iter().map(|chunk| chunk.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "One two three. Four five!",
                "Four five! Six seven eight?",
                "Six seven eight?\n\nNine ten. Eleven"
            ]
        );
        assert_eq!(found[2].tokens, 6);
    }

    #[test]
    fn a_sentence_that_is_too_long_is_cut_between_words() {
        let options = ChunkOptions {
            size: 3,
            overlap: 1,
        };
        let text = "a b c d e f g. h";
        let found = cut(text, &words, options);
        assert!(found.iter().all(|chunk| chunk.tokens <= 3), "{found:?}");
        let bytes = |text: &str| text.len();
        let found = cut("ünbreakäble", &bytes, options);
        assert!(found.iter().all(|chunk| chunk.tokens <= 3), "{found:?}");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_piece_is_too_long(
            text in "([a-zé]{1,6}[.!]?[ \n]){0,40}", size in 2_usize..30, overlap in 0_usize..20
        ) {
            let options = ChunkOptions { size, overlap: overlap.min(size - 1) };
            let found = cut(&text, &words, options);
            prop_assert!(found.iter().all(|chunk| chunk.tokens <= size && chunk.tokens > 0));
            let without = ChunkOptions { size, overlap: 0 };
            let all: Vec<String> = cut(&text, &words, without).into_iter().map(|chunk| chunk.text).collect();
            let all = all.join(" ");
            let all: Vec<&str> = all.split_whitespace().collect();
            let expected: Vec<&str> = text.split_whitespace().collect();
            prop_assert_eq!(all, expected);
        }
    }
}
