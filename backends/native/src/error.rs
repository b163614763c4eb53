use shipworthy_models::ModelError;
use thiserror::Error;

use crate::dropout::DropoutError;
use crate::nf4::Nf4Error;
use crate::optimiser::OptimiserError;

/// Says why a model could not be loaded, computed with or trained.
#[derive(Debug, Error)]
pub enum NativeError {
    /// A file of the model is wrong.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// There is no such dropout.
    #[error(transparent)]
    Dropout(#[from] DropoutError),
    /// A weight cannot be quantised.
    #[error(transparent)]
    Nf4(#[from] Nf4Error),
    /// The optimiser cannot go on.
    #[error(transparent)]
    Optimiser(#[from] OptimiserError),
    /// A tensor operation failed: the device's memory, or a fault of ours.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
