//! A checkpoint's tokenizer, as a model file carries it: tokens, kinds, scores or merges, roles.

mod error;

mod definition;
mod sentencepiece_model;
mod tokenizer_config;
mod tokenizer_json;

mod added_tokens;
mod bpe;
mod merge_scores;
mod sentencepiece;
mod special_tokens;

mod vocabulary;

pub use error::{TokenizerError, TokenizerProblem};
pub use vocabulary::{
    SpecialToken, Token, TokenKind, Vocabulary, VocabularyModel, VocabularyValue,
};

#[cfg(test)]
mod tests;
