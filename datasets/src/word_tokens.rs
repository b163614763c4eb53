//! Tokens of texts, word by word where that comes to the same: most words of a file were there before.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use foldhash::fast::RandomState;
use serde_json::Value;
use tokenizers::{ModelWrapper, Tokenizer};

use crate::special_texts::SpecialTexts;

/// Patterns of pre-tokenizers, none of whose matches goes on from a visible ASCII character over a space
/// or a line's end to an ASCII letter: those of Llama 3, Qwen 2 and Mistral's Tekken. A byte-level one with its own
/// pattern (GPT-2's) is alike.
const PATTERNS: [&str; 3] = [
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

/// Maps that threads share; each is locked alone.
const SHARDS: usize = 64;
/// Words that each keeps; all of them are some ten megabytes.
const WORDS: usize = 1024;
/// Bytes of a word that is kept.
const LONGEST: usize = 40;

/// What a text is for its model.
pub(crate) struct Tokens {
    pub(crate) ids: Vec<u32>,
    /// Ranges of bytes in the text.
    pub(crate) offsets: Vec<(usize, usize)>,
}

/// A token with its range of bytes in its word.
type WordToken = (u32, u8, u8);

type Shard = HashMap<Box<str>, Box<[WordToken]>, RandomState>;

/// Tokens of words that were met before.
pub(crate) struct WordTokens {
    /// None where the tokenizer's words depend on what stands around them.
    shards: Option<Vec<Mutex<Shard>>>,
    /// What divides texts before they are divided into words.
    added: SpecialTexts,
}

impl WordTokens {
    pub(crate) fn new(tokenizer: &Tokenizer) -> Self {
        Self {
            shards: has_words(tokenizer).then(|| (0..SHARDS).map(|_| Mutex::default()).collect()),
            added: SpecialTexts::added_before_normalizing(tokenizer),
        }
    }

    /// Returns the tokens of `text`, special ones only where they are written.
    pub(crate) fn encode(&self, tokenizer: &Tokenizer, text: &str) -> tokenizers::Result<Tokens> {
        let mut tokens = Tokens {
            ids: Vec::with_capacity(text.len() / 3),
            offsets: Vec::with_capacity(text.len() / 3),
        };
        let Some(shards) = &self.shards else {
            tokens.add(tokenizer, text, 0)?;
            return Ok(tokens);
        };
        let mut start = 0;
        while let Some((at, token, id)) = self.added.first_in(&text[start..]) {
            let (first, end) = (start + at, start + at + token.len());
            add_words(shards, tokenizer, &text[start..first], start, &mut tokens)?;
            tokens.ids.push(id);
            tokens.offsets.push((first, end));
            start = end;
        }
        add_words(shards, tokenizer, &text[start..], start, &mut tokens)?;
        Ok(tokens)
    }
}

/// Adds the tokens of a text without added tokens, that begins at `start`, word by word.
fn add_words(
    shards: &[Mutex<Shard>],
    tokenizer: &Tokenizer,
    text: &str,
    start: usize,
    tokens: &mut Tokens,
) -> tokenizers::Result<()> {
    let bytes = text.as_bytes();
    let mut first = 0;
    while first < text.len() {
        let end = (first + 1..text.len().saturating_sub(1))
            .find(|&at| is_border(bytes, at))
            .unwrap_or(text.len());
        let (word, place) = (&text[first..end], start + first);
        first = end;
        if word.len() > LONGEST {
            tokens.add(tokenizer, word, place)?;
            continue;
        }
        let last = word.as_bytes().iter().rev().take(4);
        let shard = last.fold(word.len(), |sum, &byte| sum * 31 + usize::from(byte));
        let shard = || {
            let shard = shards[shard % SHARDS].lock();
            shard.unwrap_or_else(PoisonError::into_inner)
        };
        if !shard().get(word).is_some_and(|known| {
            tokens.extend(known, place);
            true
        }) {
            let from = tokens.ids.len();
            tokens.add(tokenizer, word, place)?;
            let byte = |at: usize| u8::try_from(at - place).expect("a word is short");
            let new = tokens.ids[from..].iter().zip(&tokens.offsets[from..]);
            let new = new.map(|(&id, &(first, end))| (id, byte(first), byte(end)));
            let mut shard = shard();
            if shard.len() < WORDS {
                shard.insert(word.into(), new.collect());
            }
        }
    }
    Ok(())
}

impl Tokens {
    /// Adds the tokens of a piece of text that begins at `start`.
    fn add(&mut self, tokenizer: &Tokenizer, piece: &str, start: usize) -> tokenizers::Result<()> {
        let encoding = tokenizer.encode(piece, false)?;
        self.ids.extend_from_slice(encoding.get_ids());
        let offsets = encoding.get_offsets().iter();
        self.offsets
            .extend(offsets.map(|&(from, to)| (start + from, start + to)));
        Ok(())
    }

    fn extend(&mut self, known: &[WordToken], start: usize) {
        for &(id, from, to) in known {
            self.ids.push(id);
            let place = (start + usize::from(from), start + usize::from(to));
            self.offsets.push(place);
        }
    }
}

/// Tells whether a word begins at `at`: a space or what follows a line's end, between a visible ASCII
/// character and an ASCII letter.
fn is_border(text: &[u8], at: usize) -> bool {
    let is_after_line = at > 1 && text[at - 1] == b'\n';
    match text[at] {
        b' ' => text[at - 1].is_ascii_graphic() && text[at + 1].is_ascii_alphabetic(),
        byte => is_after_line && byte.is_ascii_alphabetic() && text[at - 2].is_ascii_graphic(),
    }
}

/// Tells whether the tokenizer makes the same tokens of a text as of its words.
///
/// It must divide texts at such borders, change nothing across them, draw nothing by chance, and have no
/// added token with space in it or beside it.
fn has_words(tokenizer: &Tokenizer) -> bool {
    let ModelWrapper::BPE(model) = tokenizer.get_model() else {
        return false;
    };
    let json = |part: serde_json::Result<Value>| part.unwrap_or_default();
    let normalizer = json(serde_json::to_value(tokenizer.get_normalizer()));
    let is_local = normalizer.is_null() || normalizer["type"] == "NFC";
    let divides = divides(&json(serde_json::to_value(tokenizer.get_pre_tokenizer())));
    let keeps = keeps_offsets(&json(serde_json::to_value(tokenizer.get_post_processor())));
    let added = tokenizer.get_added_tokens_decoder();
    let is_plain = added.values().all(|token| {
        let is_alone = !(token.lstrip || token.rstrip || token.single_word);
        is_alone && !token.content.contains([' ', '\n'])
    });
    let reads_added = !tokenizer.get_encode_special_tokens();
    model.dropout.is_none() && is_local && divides && keeps && is_plain && reads_added
}

fn divides(pre_tokenizer: &Value) -> bool {
    let is_byte_level = |it: &Value, regex: bool| {
        it["type"] == "ByteLevel" && it["add_prefix_space"] == false && it["use_regex"] == regex
    };
    let is_split = |it: &Value| {
        let pattern = it["pattern"]["Regex"].as_str();
        it["type"] == "Split"
            && it["behavior"] == "Isolated"
            && it["invert"] == false
            && pattern.is_some_and(|pattern| PATTERNS.contains(&pattern))
    };
    match pre_tokenizer["pretokenizers"].as_array().map(Vec::as_slice) {
        Some([split, bytes]) => is_split(split) && is_byte_level(bytes, false),
        _ => is_byte_level(pre_tokenizer, true),
    }
}

/// Tells whether what comes after the model leaves tokens and their places as they are, where no
/// special tokens are to be added.
fn keeps_offsets(post_processor: &Value) -> bool {
    if let Some(all) = post_processor["processors"].as_array() {
        return all.iter().all(keeps_offsets);
    }
    post_processor.is_null()
        || post_processor["type"] == "TemplateProcessing"
        || post_processor["type"] == "ByteLevel" && post_processor["trim_offsets"] == false
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof, proptest};
    use test_case::test_case;

    use super::*;

    fn tokenizer(name: &str) -> Tokenizer {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/tokenizers");
        Tokenizer::from_file(golden.join(name).join("tokenizer.json")).unwrap()
    }

    #[test_case("qwen2", true)]
    #[test_case("llama3", true)]
    #[test_case("tekken", true)]
    #[test_case("gemma3", false; "spaces are written otherwise")]
    #[test_case("llama2", false; "a space is put before every text")]
    #[test_case("mistral_json", false; "a space is put before every text, too")]
    fn tokenizers_with_words_are_known(name: &str, expected: bool) {
        assert_eq!(WordTokens::new(&tokenizer(name)).shards.is_some(), expected);
    }

    fn texts() -> impl Strategy<Value = String> {
        let pieces = prop_oneof![
            "[a-zA-Z]{1,9}",
            "[ \\t\\r\\n]{1,3}",
            " ",
            "['’](s|t|re|LL|d|x)",
            "[0-9]{1,5}",
            "[.,!?;:/<>|_-]{1,3}",
            prop_oneof!["<\\|im_end\\|>", "<\\|eot_id\\|>", "</s>", "\\[INST\\]"],
            "[\u{300}\u{301}éÅ한국今日\u{a0}\u{3000}\u{200b}ǅʰ]{1,3}",
            any::<char>().prop_map(String::from),
        ];
        proptest::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn words_make_the_tokens_of_the_text(text in texts()) {
            static KNOWN: std::sync::LazyLock<Vec<(Tokenizer, WordTokens)>> =
                std::sync::LazyLock::new(|| {
                    let known = ["qwen2", "llama3", "tekken"].map(tokenizer);
                    known.map(|it| { let words = WordTokens::new(&it); (it, words) }).into()
                });
            for (tokenizer, words) in KNOWN.iter() {
                let whole = tokenizer.encode(text.as_str(), false).unwrap();
                // The second time words are known.
                for _ in 0..2 {
                    let tokens = words.encode(tokenizer, &text).unwrap();
                    assert_eq!(tokens.ids, whole.get_ids(), "{text:?}");
                    assert_eq!(tokens.offsets, whole.get_offsets(), "{text:?}");
                }
            }
        }
    }
}
