use thiserror::Error;

/// Says why an optimiser could not go on, or could not be restored.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OptimiserError {
    /// A gradient is infinite or NaN, or too large for its square to be added up.
    #[error(
        "the gradient of `{name}` is not finite; lower the learning rate, or look at the examples of this step"
    )]
    Gradient {
        /// Whose gradient.
        name: String,
    },
    /// A saved state has not got a tensor.
    #[error(
        "the saved optimiser state has no `{name}`; resume from a checkpoint of the same model and method"
    )]
    Missing {
        /// Which.
        name: String,
    },
    /// A saved state has a tensor that belongs to none of the parameters.
    #[error(
        "the saved optimiser state has `{name}`, which is not trained here or kept in another way; resume with the configuration that it was saved with"
    )]
    Unexpected {
        /// Which.
        name: String,
    },
    /// A saved tensor has another type or shape.
    #[error(
        "`{name}` of the saved optimiser state is {found}, expected {expected}; resume with the configuration that it was saved with"
    )]
    Mismatch {
        /// Which.
        name: String,
        /// Type and shape that the parameter asks for.
        expected: String,
        /// Type and shape in the file.
        found: String,
    },
    /// A saved tensor has values that a state cannot have.
    #[error(
        "`{name}` of the saved optimiser state has {found}, expected {expected}; the file is damaged"
    )]
    Value {
        /// Which.
        name: String,
        /// What stands there.
        found: String,
        /// What may stand there.
        expected: &'static str,
    },
}
