//! How likely models find given tokens.

#[cfg_attr(not(feature = "native"), path = "native_disabled.rs")]
mod native;

use std::path::PathBuf;

use shipworthy_datasets::TokenisedExample;
use shipworthy_models::ModelError;
use shipworthy_schema::finetune::DeviceChoice;
use thiserror::Error;

use crate::chat::gguf::likelihood as gguf;

/// A model that tells how likely it finds the labelled tokens of an example, and what it would say
/// itself.
pub trait LikelihoodModel {
    /// Returns the sum of negative log likelihoods over the labelled tokens, each given all tokens
    /// before it.
    fn likelihood(&mut self, example: &TokenisedExample) -> Result<Likelihood, LikelihoodError>;

    /// Returns what the model makes of each labelled token but the first of all, in their order.
    fn token_scores(
        &mut self,
        example: &TokenisedExample,
    ) -> Result<Vec<TokenScore>, LikelihoodError>;

    /// Returns the likeliest token after `tokens`, of which there is at least one; `id` names them in
    /// errors. Fastest where `tokens` go on from those of the call before.
    fn next_token(&mut self, id: &str, tokens: &[u32]) -> Result<u32, LikelihoodError>;

    /// Returns the tokens that the model's own tokenizer makes of a text in which special tokens are
    /// written; `None` where it has none of its own.
    fn own_tokens(&mut self, text: &str) -> Option<Vec<u32>> {
        let _ = text;
        None
    }

    /// Tells whether the model's own file says that generation stops at a token; `None` where it says
    /// nothing.
    fn stops_at(&mut self, token: u32) -> Option<bool> {
        let _ = token;
        None
    }
}

/// What a model makes of a token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenScore {
    /// Its negative log likelihood, in nats.
    pub nll: f64,
    /// The token that the model finds likeliest in its place; the lowest of several.
    pub likeliest: u32,
}

impl TokenScore {
    /// Judges `token` by the logits of its place.
    #[cfg(any(feature = "embedded", feature = "native"))]
    pub(crate) fn of(logits: &[f32], token: u32) -> Self {
        let likeliest = likeliest(logits);
        let largest = logits[likeliest as usize];
        let sum: f64 = logits
            .iter()
            .map(|logit| f64::from(logit - largest).exp())
            .sum();
        Self {
            nll: sum.ln() - f64::from(logits[token as usize] - largest),
            likeliest,
        }
    }
}

/// Returns the scores of example `id` where all of them are numbers.
#[cfg(any(feature = "embedded", feature = "native"))]
pub(crate) fn finite(
    scores: Vec<TokenScore>,
    id: &str,
) -> Result<Vec<TokenScore>, LikelihoodError> {
    if scores.iter().all(|score| score.nll.is_finite()) {
        Ok(scores)
    } else {
        Err(LikelihoodError::NotFinite { id: id.to_owned() })
    }
}

/// Returns the token with the largest logit, the lowest of several.
#[cfg(any(feature = "embedded", feature = "native"))]
pub(crate) fn likeliest(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = token;
        }
    }
    u32::try_from(best).unwrap_or(u32::MAX)
}

/// How likely a model finds an example's labelled tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likelihood {
    /// The sum of their negative log likelihoods, in nats.
    pub nll_sum: f64,
    /// How many there are.
    pub labelled: usize,
}

/// Where a model is that is asked for likelihoods.
#[derive(Clone, Debug)]
pub enum LikelihoodSource {
    /// A checkpoint's directory, with or without an adapter's.
    Checkpoint {
        /// The checkpoint.
        directory: PathBuf,
        /// The adapter, as PEFT saves it.
        adapter: Option<PathBuf>,
        /// Whether linear layers are computed in NF4 with double quantisation.
        load_in_4bit: bool,
        /// What it is computed on.
        device: DeviceChoice,
    },
    /// A GGUF file, computed by llama.cpp.
    Gguf {
        /// The file.
        path: PathBuf,
        /// Tokens of the longest example.
        longest: usize,
    },
}

/// Says why there is no likelihood.
#[derive(Debug, Error)]
pub enum LikelihoodError {
    /// This build cannot do it.
    #[error("this build of shipworthy cannot {what}; build it with `--features {feature}`")]
    NotBuilt {
        /// What was asked for.
        what: &'static str,
        /// The cargo feature that brings it.
        feature: &'static str,
    },
    /// A file of the model is wrong.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A GGUF file cannot be opened.
    #[error(transparent)]
    Open(#[from] crate::OpenError),
    /// Adapter, data or device do not fit the model.
    #[error("{detail}")]
    Mismatch {
        /// What does not fit.
        detail: String,
    },
    /// The model gives something that is no number.
    #[error(
        "the loss of example `{id}` is not finite: the model's weights, or its format, are damaged"
    )]
    NotFinite {
        /// The example.
        id: String,
    },
    /// Computing failed.
    #[error("example `{id}`: {detail}")]
    Computation {
        /// The example.
        id: String,
        /// What the device says.
        detail: String,
    },
}

/// Opens a model.
pub fn open_likelihood(
    source: &LikelihoodSource,
) -> Result<Box<dyn LikelihoodModel>, LikelihoodError> {
    match source {
        LikelihoodSource::Checkpoint {
            directory,
            adapter,
            load_in_4bit,
            device,
        } => native::open(directory, adapter.as_deref(), *load_in_4bit, *device),
        LikelihoodSource::Gguf { path, longest } => gguf::open(path, *longest),
    }
}

#[cfg(all(test, any(feature = "embedded", feature = "native")))]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_are_equally_likely() {
        let score = TokenScore::of(&[1000.0; 8], 3);
        assert!((score.nll - 8.0_f64.ln()).abs() < 1e-12);
        assert_eq!(score.likeliest, 0);
        let score = TokenScore::of(&[0.0, 50.0], 1);
        assert!(score.nll < 1e-12);
        assert_eq!(score.likeliest, 1);
        assert!(TokenScore::of(&[0.0, f32::NAN], 1).nll.is_nan());
    }
}
