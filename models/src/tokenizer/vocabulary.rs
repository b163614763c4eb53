use std::path::Path;

use super::definition::Definition;
use super::error::{TokenizerError, TokenizerProblem};
use super::special_tokens::SpecialTokens;
use super::tokenizer_config::TokenizerConfig;
use super::tokenizer_json::TokenizerJson;
use super::{bpe, sentencepiece, special_tokens, tokenizer_json};
use crate::model_config::{self, Family};

/// Tokens a vocabulary may have; the largest known has about 262,000.
pub(super) const LIMIT: usize = 1 << 21;

/// How a vocabulary's tokens are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VocabularyModel {
    /// Byte-level BPE, by a list of merges: Llama 3, Qwen, Mistral Nemo.
    Gpt2,
    /// SentencePiece BPE, by a score per token: Llama 2, Mistral, Gemma.
    Llama,
}

impl VocabularyModel {
    /// Returns the name GGUF gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpt2 => "gpt2",
            Self::Llama => "llama",
        }
    }
}

/// What a token is for; the discriminants are GGUF's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum TokenKind {
    /// A piece of text.
    Normal = 1,
    /// Stands for what no other token does.
    Unknown = 2,
    /// Found in text only where control tokens are asked for; not shown.
    Control = 3,
    /// Found in text before anything is split.
    UserDefined = 4,
    /// A row of the embedding without a token.
    Unused = 5,
    /// One byte, for text without a token.
    Byte = 6,
}

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What it stands for, in the vocabulary's own spelling (`▁` or byte-level characters).
    pub text: String,
    /// What it is for.
    pub kind: TokenKind,
    /// The higher, the earlier its parts are merged; always there for [`VocabularyModel::Llama`].
    pub score: Option<f32>,
}

/// A token with a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialToken {
    /// Beginning of a sequence.
    Bos,
    /// End of a sequence.
    Eos,
    /// End of a turn.
    Eot,
    /// End of a message that is not the turn's last.
    Eom,
    /// Text without a token.
    Unknown,
    /// Between two sequences.
    Separator,
    /// Fills a batch.
    Padding,
    /// Stands for a token to be guessed.
    Mask,
}

impl SpecialToken {
    /// Returns the key GGUF gives its id; `seperator` is spelt so there.
    pub fn key(self) -> &'static str {
        match self {
            Self::Bos => "tokenizer.ggml.bos_token_id",
            Self::Eos => "tokenizer.ggml.eos_token_id",
            Self::Eot => "tokenizer.ggml.eot_token_id",
            Self::Eom => "tokenizer.ggml.eom_token_id",
            Self::Unknown => "tokenizer.ggml.unknown_token_id",
            Self::Separator => "tokenizer.ggml.seperator_token_id",
            Self::Padding => "tokenizer.ggml.padding_token_id",
            Self::Mask => "tokenizer.ggml.mask_token_id",
        }
    }
}

/// The value of one metadata key about the tokenizer.
#[derive(Clone, Debug, PartialEq)]
pub enum VocabularyValue<'a> {
    /// A string.
    String(&'static str),
    /// A truth value.
    Bool(bool),
    /// An id, 32 bits without sign.
    Id(u32),
    /// An array of strings.
    Strings(Vec<&'a str>),
    /// An array of 32-bit floating-point numbers.
    Scores(Vec<f32>),
    /// An array of 32-bit integers with sign.
    Kinds(Vec<i32>),
    /// No value: the chat template's keys stand here, if the checkpoint has one.
    ChatTemplate,
}

/// A checkpoint's tokenizer, as a model file carries it.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    model: VocabularyModel,
    pre: &'static str,
    tokens: Vec<Token>,
    merges: Vec<String>,
    unlisted_merges: usize,
    special: SpecialTokens,
    /// Whether a space is put before text, and whether that key stands first (else last).
    space_prefix: Option<(bool, bool)>,
}

/// What of a vocabulary the tokens' own files say.
pub(super) struct Tokens {
    pub(super) model: VocabularyModel,
    pub(super) pre: &'static str,
    pub(super) list: Vec<Token>,
    pub(super) merges: Vec<String>,
    pub(super) unlisted_merges: usize,
    /// Whether a space is put before text, where the files say something else than is usual.
    pub(super) space_prefix: Option<bool>,
}

impl Vocabulary {
    /// Reads the tokenizer of the checkpoint in `directory`.
    ///
    /// `vocab_size`: rows of the embedding, as `config.json` says; ids without a token become
    /// `[PADn]`, unused. The result is what llama.cpp's converter writes for the family, from
    /// `tokenizer.model` if it is there, else from `tokenizer.json`, with these differences, each
    /// of which makes llama.cpp give the ids the checkpoint was trained with:
    ///
    /// - A byte-level tokenizer's `pre` comes from `tokenizer.json`'s definition, not from the hash
    ///   of one text's ids, which tokens added in tuning change.
    /// - A SentencePiece tokenizer that has only `tokenizer.json` gets scores from the ranks of its
    ///   merges, and its added tokens get the kinds they have with `tokenizer.model`. The converter
    ///   writes one score for all, and makes control tokens normal or user-defined ones; for Gemma
    ///   it writes a byte-level vocabulary or nothing.
    /// - Tokens that only `tokenizer.json` adds to `tokenizer.model` are there; where transformers 5
    ///   saved the tokenizer, the converter misses them.
    /// - Rows of the embedding beyond the tokens are filled for every kind of tokenizer.
    /// - An added token stays as it is written; the converter decodes it like text, which changes one
    ///   that happens to be made of byte-level characters (`é`).
    /// - An id that the embedding has no row for is never a special token's.
    ///
    /// Errors name file and field: an unknown definition, ids out of range or given twice, a token
    /// that stands there twice (llama.cpp refuses it), merges of what is no token.
    pub fn read(
        directory: &Path,
        family: Family,
        vocab_size: usize,
    ) -> Result<Self, TokenizerError> {
        let config_path = directory.join(model_config::FILE);
        let wrong_size = |problem| TokenizerError::field(&config_path, "vocab_size", problem);
        if vocab_size == 0 {
            return Err(wrong_size(TokenizerProblem::Empty));
        }
        if vocab_size > LIMIT {
            return Err(wrong_size(TokenizerProblem::TooMany {
                found: vocab_size,
                limit: LIMIT,
            }));
        }
        let config = TokenizerConfig::read(directory)?;
        let json = TokenizerJson::read(directory)?;
        let model = directory.join(sentencepiece::FILE);
        let read = match &json {
            _ if model.is_file() => {
                sentencepiece::read(&model, directory, &config, json.as_ref(), vocab_size)?
            }
            Some(json) => {
                let definition = Definition::recognise(json)?;
                bpe::read(json, &definition, &config, vocab_size)?
            }
            None => {
                return Err(TokenizerError::Absent {
                    directory: directory.to_owned(),
                });
            }
        };
        refuse_twins(&read.list, directory, model.is_file())?;
        let mut special = special_tokens::read(directory, &config, json.as_ref(), vocab_size)?;
        let configured = config.add_prefix_space()?;
        let space_prefix = match family {
            Family::Gemma3 => Some((false, false)),
            Family::Llama | Family::Mistral => match configured {
                Some(value) => Some((value, true)),
                None => read.space_prefix.map(|value| (value, false)),
            },
            Family::Qwen2 | Family::Qwen3 => read.space_prefix.map(|value| (value, false)),
        };
        if matches!(family, Family::Llama | Family::Mistral) {
            special.amend(vocab_size);
        }
        Ok(Self {
            model: read.model,
            pre: read.pre,
            tokens: read.list,
            merges: read.merges,
            unlisted_merges: read.unlisted_merges,
            special,
            space_prefix,
        })
    }

    /// Returns how tokens are put together.
    pub fn model(&self) -> VocabularyModel {
        self.model
    }

    /// Returns GGUF's name of the way text is split before tokens are looked for.
    pub fn pre(&self) -> &'static str {
        self.pre
    }

    /// Returns the tokens, in the order of their ids; as many as the embedding has rows.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Returns the merges of a [`VocabularyModel::Gpt2`], first to last, as two tokens and a space;
    /// a space in a token is written `Ġ`.
    pub fn merges(&self) -> &[String] {
        &self.merges
    }

    /// Returns how many pairs of tokens llama.cpp merges and transformers does not.
    ///
    /// A score belongs to a token, a merge to a pair. For a tokenizer that came from SentencePiece
    /// every pair that makes a token is a merge and this is 0; above 0, some texts may get other
    /// ids. Only ever above 0 for a [`VocabularyModel::Llama`] without `tokenizer.model`.
    pub fn unlisted_merges(&self) -> usize {
        self.unlisted_merges
    }

    /// Returns the id of the token with a role.
    pub fn special(&self, token: SpecialToken) -> Option<u32> {
        self.special.id(token)
    }

    /// Tells whether the beginning is marked by a token; none if the checkpoint does not say.
    pub fn add_bos(&self) -> Option<bool> {
        self.special.adds(SpecialToken::Bos)
    }

    /// Tells whether the end is marked by a token; none if the checkpoint does not say.
    pub fn add_eos(&self) -> Option<bool> {
        self.special.adds(SpecialToken::Eos)
    }

    /// Tells whether a space is put before text; none if it is what is usual for the model.
    pub fn add_space_prefix(&self) -> Option<bool> {
        self.space_prefix.map(|(value, _)| value)
    }

    /// Returns GGUF's metadata keys and their values, in the order llama.cpp's converter has them.
    pub fn metadata(&self) -> Vec<(&'static str, VocabularyValue<'_>)> {
        let mut entries = Vec::new();
        let space = |value| {
            let key = "tokenizer.ggml.add_space_prefix";
            (key, VocabularyValue::Bool(value))
        };
        if let Some((value, true)) = self.space_prefix {
            entries.push(space(value));
        }
        let model = VocabularyValue::String(self.model.name());
        entries.push(("tokenizer.ggml.model", model));
        entries.push(("tokenizer.ggml.pre", VocabularyValue::String(self.pre)));
        let texts = self.tokens.iter().map(|token| token.text.as_str());
        entries.push((
            "tokenizer.ggml.tokens",
            VocabularyValue::Strings(texts.collect()),
        ));
        if self.model == VocabularyModel::Llama {
            let scores = self.tokens.iter().map(|token| token.score.unwrap_or(0.0));
            entries.push((
                "tokenizer.ggml.scores",
                VocabularyValue::Scores(scores.collect()),
            ));
        }
        let kinds = self.tokens.iter().map(|token| token.kind as i32);
        entries.push((
            "tokenizer.ggml.token_type",
            VocabularyValue::Kinds(kinds.collect()),
        ));
        if !self.merges.is_empty() {
            let merges = self.merges.iter().map(String::as_str);
            entries.push((
                "tokenizer.ggml.merges",
                VocabularyValue::Strings(merges.collect()),
            ));
        }
        self.special.push_metadata(&mut entries);
        if let Some((value, false)) = self.space_prefix {
            entries.push(space(value));
        }
        entries
    }
}

/// Refuses a token that stands there twice: llama.cpp stops the whole process at one.
fn refuse_twins(tokens: &[Token], directory: &Path, has_model: bool) -> Result<(), TokenizerError> {
    let mut seen = std::collections::HashMap::with_capacity(tokens.len());
    for (id, token) in (0_u32..).zip(tokens) {
        if let Some(first) = seen.insert(token.text.as_str(), id) {
            let name = if has_model {
                sentencepiece::FILE
            } else {
                tokenizer_json::FILE
            };
            return Err(TokenizerError::field(
                &directory.join(name),
                "tokens",
                TokenizerProblem::TokenTwice {
                    token: super::error::shortened(&token.text),
                    first,
                    second: id,
                },
            ));
        }
    }
    Ok(())
}
