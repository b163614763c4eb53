#![expect(
    clippy::cast_possible_truncation,
    reason = "constants are rounded to the format computed in"
)]

use candle_core::{DType, Tensor};

use super::frozen::FrozenWeight;
use super::linear::Weight;
use crate::compute::Compute;
use crate::error::NativeError;
use crate::parameters::{Gradients, Parameters};

/// The vectors of tokens.
#[derive(Clone, Debug)]
pub(crate) struct Embedding {
    /// (`vocab_size`, `hidden_size`)
    pub(crate) weight: Weight,
    pub(crate) vocab_size: usize,
    pub(crate) hidden_size: usize,
    /// What vectors are multiplied by (Gemma).
    pub(crate) scale: Option<f64>,
}

impl Embedding {
    /// Returns the vectors of tokens, (tokens, `hidden_size`).
    ///
    /// Errors with the first token that has none.
    pub(crate) fn forward(
        &self,
        parameters: &Parameters,
        tokens: &[u32],
        compute: &Compute,
    ) -> Result<Tensor, NativeError> {
        let limit = self.vocab_size;
        if let Some(&token) = tokens.iter().find(|&&token| token as usize >= limit) {
            return Err(NativeError::Token {
                token,
                vocab_size: u32::try_from(limit).unwrap_or(u32::MAX),
            });
        }
        let width = self.hidden_size;
        let from_host = |frozen: &FrozenWeight| {
            let mut values = vec![0.0; tokens.len() * width];
            for (&token, values) in tokens.iter().zip(values.chunks_exact_mut(width)) {
                let row = token as usize;
                frozen.read_rows(row..row + 1, width, values);
            }
            crate::host::tensor(values, (tokens.len(), width))?
                .to_dtype(compute.dtype)?
                .to_device(&compute.device)
        };
        let selected =
            |weight: &Tensor| weight.index_select(&Tensor::new(tokens, weight.device())?, 0);
        let vectors = match &self.weight {
            Weight::Trained(id) => selected(parameters.value(*id))?.to_dtype(compute.dtype)?,
            Weight::Frozen(frozen) => match &**frozen {
                FrozenWeight::Dense(weight) => selected(weight)?,
                frozen => from_host(frozen)?,
            },
        };
        Ok(self.scaled(vectors)?)
    }

    /// Adds the gradient, given that of the vectors, if vectors are trained.
    pub(crate) fn backward(
        &self,
        parameters: &Parameters,
        tokens: &[u32],
        upstream: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<(), NativeError> {
        let Weight::Trained(id) = &self.weight else {
            return Ok(());
        };
        let upstream = self.scaled(upstream.clone())?.to_dtype(DType::F32)?;
        let tokens = Tensor::new(tokens, upstream.device())?;
        let nothing = parameters.value(*id).zeros_like()?;
        gradients.add(*id, nothing.index_add(&tokens, &upstream, 0)?)
    }

    /// Multiplies by the scale, which has the format of the weights, as in transformers.
    fn scaled(&self, vectors: Tensor) -> candle_core::Result<Tensor> {
        match self.scale {
            None => Ok(vectors),
            Some(scale) => {
                let scale = Tensor::new(scale as f32, vectors.device())?;
                vectors.broadcast_mul(&scale.to_dtype(vectors.dtype())?)
            }
        }
    }
}
