use candle_core::Tensor;

use super::linear::Vector;
use crate::error::NativeError;
use crate::ops::rms_norm::RmsNorm;
use crate::parameters::{Gradients, Parameters};

/// A norm and its weight.
#[derive(Clone, Debug)]
pub(crate) struct Norm {
    pub(crate) operation: RmsNorm,
    /// (features)
    pub(crate) weight: Vector,
}

impl Norm {
    /// Normalises `input` (tokens, features); where features are several heads, each on its own.
    pub(crate) fn forward(
        &self,
        parameters: &Parameters,
        input: &Tensor,
    ) -> Result<Tensor, NativeError> {
        let weight = self.weight.value(parameters);
        let rows = rows(input, weight)?;
        let output = self.operation.forward(&rows, weight)?;
        Ok(output.reshape(input.shape())?)
    }

    /// Adds the weight's gradient if it is trained; returns the input's.
    pub(crate) fn backward(
        &self,
        parameters: &Parameters,
        input: &Tensor,
        upstream: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<Tensor, NativeError> {
        let weight = self.weight.value(parameters);
        let trained = self.weight.trained();
        let (x, upstream) = (rows(input, weight)?, rows(upstream, weight)?);
        let found = self
            .operation
            .backward(&x, weight, &upstream, trained.is_some())?;
        if let (Some(id), Some(gradient)) = (trained, found.weight) {
            gradients.add(id, gradient)?;
        }
        Ok(found.input.reshape(input.shape())?)
    }
}

fn rows(input: &Tensor, weight: &Tensor) -> candle_core::Result<Tensor> {
    let features = weight.elem_count();
    input.reshape((input.elem_count() / features, features))
}
