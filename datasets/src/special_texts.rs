use std::collections::BTreeMap;

use shipworthy_models::SpecialTokens;
use tokenizers::Tokenizer;

/// The texts that the tokenizer reads as special tokens, or as added ones, wherever they stand.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpecialTexts {
    /// By their first byte, the longest first.
    by_first: BTreeMap<u8, Vec<(String, u32)>>,
    /// For every byte whether one begins with it.
    begins: Vec<bool>,
}

impl SpecialTexts {
    /// Takes the added tokens that are special, and the `eos_token` whether it is called so or not.
    pub(crate) fn new(tokenizer: &Tokenizer, named: &SpecialTokens) -> Self {
        let added = tokenizer.get_added_tokens_decoder();
        let special = added
            .into_iter()
            .filter(|(_, token)| token.special)
            .map(|(id, token)| (token.content, id));
        let end = named
            .get("eos_token")
            .and_then(|text| Some((text.to_owned(), tokenizer.token_to_id(text)?)));
        Self::of(special.chain(end))
    }

    /// Takes the added tokens that are looked for before anything is done to a text.
    pub(crate) fn added_before_normalizing(tokenizer: &Tokenizer) -> Self {
        let added = tokenizer.get_added_tokens_decoder().into_iter();
        let added = added.filter(|(_, token)| !token.normalized);
        Self::of(added.map(|(id, token)| (token.content, id)))
    }

    fn of(tokens: impl Iterator<Item = (String, u32)>) -> Self {
        let mut texts = Self::default();
        for (text, id) in tokens {
            let Some(&first) = text.as_bytes().first() else {
                continue;
            };
            texts.by_first.entry(first).or_default().push((text, id));
        }
        for same in texts.by_first.values_mut() {
            same.sort_by(|(one, _), (other, _)| {
                other.len().cmp(&one.len()).then_with(|| one.cmp(other))
            });
            same.dedup();
        }
        texts.begins = (0..=u8::MAX)
            .map(|byte| texts.by_first.contains_key(&byte))
            .collect();
        texts
    }

    /// Returns where the first one in a text begins, its text and its id.
    pub(crate) fn first_in(&self, text: &str) -> Option<(usize, &str, u32)> {
        let bytes = text.as_bytes().iter().enumerate();
        bytes
            .filter(|&(_, &first)| self.begins.get(usize::from(first)) == Some(&true))
            .find_map(|(at, _)| {
                let (token, id) = self.at_start(text.get(at..)?)?;
                Some((at, token, id))
            })
    }

    /// Returns the one a text begins with.
    pub(crate) fn at_start(&self, text: &str) -> Option<(&str, u32)> {
        let same = self.by_first.get(text.as_bytes().first()?)?;
        let token = same.iter().find(|(token, _)| text.starts_with(token))?;
        Some((&token.0, token.1))
    }

    /// Returns the longest one a text ends with.
    pub(crate) fn at_end(&self, text: &str) -> Option<(&str, u32)> {
        let tokens = self.by_first.values().flatten();
        tokens
            .filter(|(token, _)| text.ends_with(token))
            .max_by_key(|(token, _)| token.len())
            .map(|(token, id)| (token.as_str(), *id))
    }
}
