use std::path::PathBuf;

use shipworthy_models::ModelError;
use thiserror::Error;

use crate::cuda::CudaError;
use crate::dropout::DropoutError;
use crate::nf4::Nf4Error;
use crate::optimiser::OptimiserError;

/// Says why a model could not be loaded, computed with or trained.
#[derive(Debug, Error)]
pub enum NativeError {
    /// A file of the model is wrong.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// There is no CUDA card to compute on.
    #[error(transparent)]
    Cuda(#[from] CudaError),
    /// A weight cannot be kept in four bits.
    #[error("tensor `{tensor}`: {source}")]
    Nf4 {
        /// The tensor.
        tensor: String,
        /// Why.
        source: Nf4Error,
    },
    /// A name in `target_modules` or `modules_to_save` is no module's.
    #[error("`{field}`: the model has no module `{name}` that can be trained so; it has {known}")]
    UnknownModule {
        /// The setting.
        field: &'static str,
        /// The name.
        name: String,
        /// Names that would do.
        known: String,
    },
    /// An adapter of a kind that is not trained here.
    #[error("adapter `{}` has {what}, which is not trained here; merge it into its base first", path.display())]
    UnsupportedAdapter {
        /// Its directory.
        path: PathBuf,
        /// What it has.
        what: &'static str,
    },
    /// An adapter does not have what the model trains, or has it in another shape.
    #[error("adapter `{}` does not fit: {problem}", path.display())]
    AdapterMismatch {
        /// Its directory.
        path: PathBuf,
        /// What is wrong.
        problem: AdapterMismatch,
    },
    /// A token that is not in the model's vocabulary.
    #[error(
        "token {token} is outside of the model's vocabulary of {vocab_size}; tokenizer and model are of different kinds"
    )]
    Token {
        /// The token.
        token: u32,
        /// Tokens there are.
        vocab_size: u32,
    },
    /// There is no such dropout.
    #[error(transparent)]
    Dropout(#[from] DropoutError),
    /// The optimiser cannot go on.
    #[error(transparent)]
    Optimiser(#[from] OptimiserError),
    /// A tensor operation failed: the device's memory, or a fault of ours.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// How an adapter differs from what the model trains.
#[derive(Debug, Error)]
pub enum AdapterMismatch {
    /// A tensor is not there.
    #[error(
        "it has no tensor `{0}`; `target_modules`, `modules_to_save` and `bias` must be as it was trained with"
    )]
    Absent(String),
    /// A tensor has no place.
    #[error(
        "its tensor `{0}` is of nothing that is trained; `target_modules`, `modules_to_save` and `bias` must be as it was trained with"
    )]
    Unexpected(String),
    /// A tensor has another shape.
    #[error(
        "tensor `{tensor}` has shape {found:?}, expected {expected:?}; `lora_r` must be as it was trained with, and the base the same"
    )]
    Shape {
        /// The tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it must have.
        expected: Vec<usize>,
    },
}
