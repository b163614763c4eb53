//! How likely models find given tokens.

#[cfg_attr(not(feature = "native"), path = "native_disabled.rs")]
mod native;

use std::path::PathBuf;

use shipworthy_datasets::TokenisedExample;
use shipworthy_models::ModelError;
use shipworthy_schema::finetune::DeviceChoice;
use thiserror::Error;

use crate::chat::gguf::likelihood as gguf;

/// A model that tells how likely it finds the labelled tokens of an example.
pub trait LikelihoodModel {
    /// Returns the sum of negative log likelihoods over the labelled tokens, each given all tokens
    /// before it.
    fn likelihood(&mut self, example: &TokenisedExample) -> Result<Likelihood, LikelihoodError>;
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
