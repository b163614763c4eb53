//! A linear layer, with what is trained of it.

#![expect(
    clippy::cast_possible_truncation,
    reason = "constants are rounded to the format computed in"
)]

use std::sync::Arc;

use candle_core::Tensor;

use super::dropout::PassDropout;
use super::frozen::FrozenWeight;
use crate::error::NativeError;
use crate::host;
use crate::matrix::{Existing, Matrix, MatrixMut, Threads, multiply};
use crate::ops::sum::add_values;
use crate::parameters::{Gradients, ParameterId, Parameters};

/// y = x·Wᵀ + b + scale · (dropout(x)·Aᵀ)·Bᵀ
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
    pub(crate) weight: Weight,
    pub(crate) bias: Option<Vector>,
    pub(crate) low_rank: Option<LowRank>,
}

/// A matrix (outputs, inputs).
#[derive(Clone, Debug)]
pub(crate) enum Weight {
    Frozen(Arc<FrozenWeight>),
    Trained(ParameterId),
}

/// A bias or a norm's weight.
#[derive(Clone, Debug)]
pub(crate) enum Vector {
    Frozen(Tensor),
    Trained(ParameterId),
}

/// A low-rank change.
#[derive(Clone, Debug)]
pub(crate) struct LowRank {
    /// A: (rank, inputs).
    pub(crate) a: ParameterId,
    /// B: (outputs, rank).
    pub(crate) b: ParameterId,
    pub(crate) scale: f64,
    /// Which layer of the model this is, so that each leaves other inputs out.
    pub(crate) ordinal: u32,
}

/// What a layer's forward pass keeps for its backward pass, beside the input: dropout(x)·Aᵀ,
/// (tokens, rank).
#[derive(Clone, Debug, Default)]
pub(crate) struct LinearTape(Option<Tensor>);

impl Vector {
    /// Returns its values.
    pub(crate) fn value<'a>(&'a self, parameters: &'a Parameters) -> &'a Tensor {
        match self {
            Self::Frozen(value) => value,
            Self::Trained(id) => parameters.value(*id),
        }
    }

    /// Returns what it is among the trained, if it is.
    pub(crate) fn trained(&self) -> Option<ParameterId> {
        match self {
            Self::Frozen(_) => None,
            Self::Trained(id) => Some(*id),
        }
    }
}

impl Linear {
    /// Computes the outputs of `input` (tokens, inputs): (tokens, outputs).
    pub(crate) fn forward(
        &self,
        parameters: &Parameters,
        input: &Tensor,
        dropout: Option<&PassDropout<'_>>,
    ) -> Result<(Tensor, LinearTape), NativeError> {
        if host::is_on_host(input) {
            self.forward_on_host(parameters, input, dropout)
        } else {
            self.forward_anywhere(parameters, input, dropout)
        }
    }

    /// Adds the gradients of what is trained; returns the input's (tokens, inputs), if it is needed.
    #[expect(
        clippy::too_many_arguments,
        reason = "what goes forward, what comes back, and where gradients go"
    )]
    pub(crate) fn backward(
        &self,
        parameters: &Parameters,
        input: &Tensor,
        tape: &LinearTape,
        upstream: &Tensor,
        dropout: Option<&PassDropout<'_>>,
        needs_input: bool,
        gradients: &mut Gradients,
    ) -> Result<Option<Tensor>, NativeError> {
        if let Some(Vector::Trained(id)) = &self.bias {
            gradients.add(*id, upstream.to_dtype(candle_core::DType::F32)?.sum(0)?)?;
        }
        if host::is_on_host(input) {
            self.backward_on_host(
                parameters,
                input,
                tape,
                upstream,
                dropout,
                needs_input,
                gradients,
            )
        } else {
            self.backward_anywhere(
                parameters,
                input,
                tape,
                upstream,
                dropout,
                needs_input,
                gradients,
            )
        }
    }

    fn forward_on_host(
        &self,
        parameters: &Parameters,
        input: &Tensor,
        dropout: Option<&PassDropout<'_>>,
    ) -> Result<(Tensor, LinearTape), NativeError> {
        let x = host::values(input)?;
        let tokens = input.dim(0)?;
        let (inputs, outputs) = (self.inputs, self.outputs);
        // Adding to zeros that nothing has written yet would cost more than the product of a small layer:
        // the system gives every page twice, to be read and then to be written.
        let (mut output, existing) = match &self.bias {
            Some(bias) => (
                host::values(bias.value(parameters))?.repeat(tokens),
                Existing::Added,
            ),
            None => (vec![0.0; tokens * outputs], Existing::Replaced),
        };
        match &self.weight {
            Weight::Frozen(weight) => {
                weight.apply_on_host(&x, &mut output, [outputs, inputs], existing);
            }
            Weight::Trained(id) => {
                let weight = host::values(parameters.value(*id))?;
                multiply(
                    MatrixMut::new(&mut output, tokens, outputs),
                    Matrix::new(&x, tokens, inputs),
                    Matrix::new(&weight, outputs, inputs).transposed(),
                    1.0,
                    existing,
                    Threads::All,
                );
            }
        }
        let mut tape = LinearTape::default();
        if let Some(low_rank) = &self.low_rank {
            let (a, b) = (parameters.value(low_rank.a), parameters.value(low_rank.b));
            let rank = a.dim(0)?;
            let (a, b) = (host::values(a)?, host::values(b)?);
            let dropped = dropout.map(|dropout| dropout.apply(&x, low_rank.ordinal));
            let x = dropped.as_deref().unwrap_or(&x);
            let mut inner = vec![0.0; tokens * rank];
            multiply(
                MatrixMut::new(&mut inner, tokens, rank),
                Matrix::new(x, tokens, inputs),
                Matrix::new(&a, rank, inputs).transposed(),
                1.0,
                Existing::Replaced,
                Threads::All,
            );
            multiply(
                MatrixMut::new(&mut output, tokens, outputs),
                Matrix::new(&inner, tokens, rank),
                Matrix::new(&b, outputs, rank).transposed(),
                low_rank.scale as f32,
                Existing::Added,
                Threads::All,
            );
            tape.0 = Some(host::tensor(inner, (tokens, rank))?);
        }
        Ok((host::tensor(output, (tokens, outputs))?, tape))
    }

    #[expect(clippy::too_many_arguments, reason = "those of `backward`")]
    fn backward_on_host(
        &self,
        parameters: &Parameters,
        input: &Tensor,
        tape: &LinearTape,
        upstream: &Tensor,
        dropout: Option<&PassDropout<'_>>,
        needs_input: bool,
        gradients: &mut Gradients,
    ) -> Result<Option<Tensor>, NativeError> {
        let (x, upstream) = (host::values(input)?, host::values(upstream)?);
        let tokens = input.dim(0)?;
        let (inputs, outputs) = (self.inputs, self.outputs);
        let up = Matrix::new(&upstream, tokens, outputs);
        let mut gradient = needs_input.then(|| vec![0.0; tokens * inputs]);
        match &self.weight {
            Weight::Frozen(weight) => {
                if let Some(gradient) = &mut gradient {
                    weight.apply_back_on_host(&upstream, gradient, [outputs, inputs]);
                }
            }
            Weight::Trained(id) => {
                if let Some(gradient) = &mut gradient {
                    let weight = host::values(parameters.value(*id))?;
                    multiply(
                        MatrixMut::new(gradient, tokens, inputs),
                        up,
                        Matrix::new(&weight, outputs, inputs),
                        1.0,
                        Existing::Replaced,
                        Threads::All,
                    );
                }
                let x = Matrix::new(&x, tokens, inputs);
                gradients.add_product(*id, (outputs, inputs), up.transposed(), x, 1.0)?;
            }
        }
        if let (Some(low_rank), Some(inner)) = (&self.low_rank, &tape.0) {
            let (a, b) = (parameters.value(low_rank.a), parameters.value(low_rank.b));
            let rank = a.dim(0)?;
            let (a, b) = (host::values(a)?, host::values(b)?);
            let inner = host::values(inner)?;
            let scale = low_rank.scale as f32;
            let inner = Matrix::new(&inner, tokens, rank);
            gradients.add_product(low_rank.b, (outputs, rank), up.transposed(), inner, scale)?;
            let mut of_inner = vec![0.0; tokens * rank];
            multiply(
                MatrixMut::new(&mut of_inner, tokens, rank),
                up,
                Matrix::new(&b, outputs, rank),
                scale,
                Existing::Replaced,
                Threads::All,
            );
            let of_inner = Matrix::new(&of_inner, tokens, rank);
            let dropped = dropout.map(|dropout| dropout.apply(&x, low_rank.ordinal));
            let dropped = dropped.as_deref().unwrap_or(&x);
            let dropped = Matrix::new(dropped, tokens, inputs);
            gradients.add_product(
                low_rank.a,
                (rank, inputs),
                of_inner.transposed(),
                dropped,
                1.0,
            )?;
            if let Some(gradient) = &mut gradient {
                let a = Matrix::new(&a, rank, inputs);
                match dropout {
                    None => multiply(
                        MatrixMut::new(gradient, tokens, inputs),
                        of_inner,
                        a,
                        1.0,
                        Existing::Added,
                        Threads::All,
                    ),
                    Some(dropout) => {
                        let mut of_dropped = vec![0.0; tokens * inputs];
                        let product = MatrixMut::new(&mut of_dropped, tokens, inputs);
                        multiply(product, of_inner, a, 1.0, Existing::Replaced, Threads::All);
                        dropout.apply_to(&mut of_dropped, low_rank.ordinal);
                        add_values(gradient, &of_dropped);
                    }
                }
            }
        }
        let gradient = gradient.map(|gradient| host::tensor(gradient, (tokens, inputs)));
        Ok(gradient.transpose()?)
    }

    fn forward_anywhere(
        &self,
        parameters: &Parameters,
        input: &Tensor,
        dropout: Option<&PassDropout<'_>>,
    ) -> Result<(Tensor, LinearTape), NativeError> {
        let dtype = input.dtype();
        let mut output = match &self.weight {
            Weight::Frozen(weight) => weight.apply(input)?,
            Weight::Trained(id) => input.matmul(&parameters.value(*id).to_dtype(dtype)?.t()?)?,
        };
        if let Some(bias) = &self.bias {
            output = output.broadcast_add(&bias.value(parameters).to_dtype(dtype)?)?;
        }
        let mut tape = LinearTape::default();
        if let Some(low_rank) = &self.low_rank {
            let a = parameters.value(low_rank.a).to_dtype(dtype)?;
            let b = parameters.value(low_rank.b).to_dtype(dtype)?;
            let dropped = match dropout {
                Some(dropout) => &dropout.apply_anywhere(input, low_rank.ordinal)?,
                None => input,
            };
            let inner = dropped.matmul(&a.t()?)?;
            output = (output + (inner.matmul(&b.t()?)? * low_rank.scale)?)?;
            tape.0 = Some(inner);
        }
        Ok((output, tape))
    }

    #[expect(clippy::too_many_arguments, reason = "those of `backward`")]
    fn backward_anywhere(
        &self,
        parameters: &Parameters,
        input: &Tensor,
        tape: &LinearTape,
        upstream: &Tensor,
        dropout: Option<&PassDropout<'_>>,
        needs_input: bool,
        gradients: &mut Gradients,
    ) -> Result<Option<Tensor>, NativeError> {
        let dtype = input.dtype();
        let single = candle_core::DType::F32;
        let mut gradient = None;
        match &self.weight {
            Weight::Frozen(weight) => {
                if needs_input {
                    gradient = Some(weight.apply_back(upstream)?);
                }
            }
            Weight::Trained(id) => {
                let weight = parameters.value(*id).to_dtype(dtype)?;
                if needs_input {
                    gradient = Some(upstream.matmul(&weight)?);
                }
                gradients.add(*id, upstream.t()?.matmul(input)?.to_dtype(single)?)?;
            }
        }
        if let (Some(low_rank), Some(inner)) = (&self.low_rank, &tape.0) {
            let a = parameters.value(low_rank.a).to_dtype(dtype)?;
            let b = parameters.value(low_rank.b).to_dtype(dtype)?;
            let upstream = (upstream * low_rank.scale)?;
            gradients.add(low_rank.b, upstream.t()?.matmul(inner)?.to_dtype(single)?)?;
            let of_inner = upstream.matmul(&b)?;
            let dropped = match dropout {
                Some(dropout) => &dropout.apply_anywhere(input, low_rank.ordinal)?,
                None => input,
            };
            gradients.add(low_rank.a, of_inner.t()?.matmul(dropped)?.to_dtype(single)?)?;
            if let Some(sum) = gradient {
                let of_dropped = of_inner.matmul(&a)?;
                let of_input = match dropout {
                    Some(dropout) => dropout.apply_anywhere(&of_dropped, low_rank.ordinal)?,
                    None => of_dropped,
                };
                gradient = Some((sum + of_input)?);
            }
        }
        Ok(gradient)
    }
}
