use std::collections::BTreeSet;
use std::path::Path;

use shipworthy_models::SpecialTokens;
use tokenizers::Tokenizer;

use crate::model_tokenizer::{TokenizerFault, open_tokenizer, stops};
use crate::render_error::RenderError;

/// A checkpoint's tokenizer for plain text, without a chat template.
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    /// What stands for an empty text: the `bos_token`, else the `eos_token`; its text and id.
    prefix: Option<(String, u32)>,
    eos: Option<String>,
    stops: BTreeSet<u32>,
}

impl TextTokenizer {
    /// Opens `tokenizer.json` in a checkpoint's directory.
    pub fn open(directory: &Path) -> Result<Self, TokenizerFault> {
        let tokenizer = open_tokenizer(directory)?;
        let tokens = SpecialTokens::read(directory).map_err(|source| TokenizerFault::Template {
            directory: directory.to_owned(),
            source,
        })?;
        let id = |name: &str| {
            let text = tokens.get(name)?;
            Some((text.to_owned(), tokenizer.token_to_id(text)?))
        };
        let mut stops = stops(directory);
        stops.extend(id("eos_token").map(|(_, id)| id));
        Ok(Self {
            prefix: id("bos_token").or_else(|| id("eos_token")),
            eos: tokens.get("eos_token").map(str::to_owned),
            stops,
            tokenizer,
        })
    }

    /// Returns the id that stands for an empty text: that of the `bos_token`, else of the `eos_token`.
    pub fn prefix(&self) -> Option<u32> {
        self.prefix.as_ref().map(|(_, id)| *id)
    }

    /// Returns the text of the `eos_token`.
    pub fn eos(&self) -> Option<&str> {
        self.eos.as_deref()
    }

    /// Returns the tokens at which the checkpoint's files say that generation stops.
    pub fn stops(&self) -> &BTreeSet<u32> {
        &self.stops
    }

    /// Makes tokens of a text, with those the tokenizer adds by itself, such as a BOS, unless the text
    /// begins with that already.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, RenderError> {
        let has_prefix = self
            .prefix
            .as_ref()
            .is_some_and(|(prefix, _)| text.starts_with(prefix));
        self.encode_with(text, !has_prefix)
    }

    /// Makes tokens of a text and adds none.
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>, RenderError> {
        self.encode_with(text, false)
    }

    fn encode_with(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>, RenderError> {
        let encoding = self.tokenizer.encode(text, add_special_tokens);
        let encoding = encoding.map_err(|error| RenderError::Tokenizer(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Makes text of tokens, special ones left out.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, RenderError> {
        let text = self.tokenizer.decode(tokens, true);
        text.map_err(|error| RenderError::Tokenizer(error.to_string()))
    }
}
