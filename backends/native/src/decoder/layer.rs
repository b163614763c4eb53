//! One layer: attention and a gated feed-forward network, forward and backward.

use std::ops::Range;

use candle_core::Tensor;
use shipworthy_models::{Activation, LayerType};

use super::angles::BatchAngles;
use super::dropout::PassDropout;
use super::linear::{Linear, LinearTape};
use super::norm::Norm;
use crate::error::NativeError;
use crate::ops::attention::{Attended, Attention};
use crate::ops::gated;
use crate::ops::rotation::{Turn, rotate};
use crate::ops::sum;
use crate::parameters::{Gradients, Parameters};

/// A layer of any family; what a family does not have is none.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_field_names,
    reason = "what a layer sees is called its type in `config.json`"
)]
pub(crate) struct Layer {
    pub(crate) layer_type: LayerType,
    pub(crate) input_norm: Norm,
    pub(crate) query: Linear,
    pub(crate) key: Linear,
    pub(crate) value: Linear,
    /// On every head's queries and keys (Qwen 3, Gemma 3).
    pub(crate) query_norm: Option<Norm>,
    pub(crate) key_norm: Option<Norm>,
    pub(crate) attention: Attention,
    pub(crate) output: Linear,
    /// Between attention and the residual sum (Gemma 3).
    pub(crate) attention_norm: Option<Norm>,
    pub(crate) mlp_input_norm: Norm,
    pub(crate) gate: Linear,
    pub(crate) up: Linear,
    pub(crate) activation: Activation,
    pub(crate) down: Linear,
    /// Between the network and the residual sum (Gemma 3).
    pub(crate) mlp_norm: Option<Norm>,
}

/// What all layers of a pass share.
pub(crate) struct Context<'a> {
    pub(crate) parameters: &'a Parameters,
    pub(crate) sequences: &'a [Range<usize>],
    pub(crate) angles: &'a BatchAngles,
    pub(crate) dropout: Option<PassDropout<'a>>,
}

/// What a layer's forward pass keeps for its backward pass, beside its input.
pub(crate) struct LayerTape {
    normed: Tensor,
    projections: [LinearTape; 3],
    /// Queries and keys before their norms, where there are any.
    unnormed: Option<(Tensor, Tensor)>,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attended: Attended,
    output: LinearTape,
    /// What comes out of attention, where it is normed.
    projected: Option<Tensor>,
    middle: Tensor,
    mlp_normed: Tensor,
    gate: (Tensor, LinearTape),
    up: (Tensor, LinearTape),
    product: Tensor,
    down: LinearTape,
    /// What comes out of the network, where it is normed.
    lowered: Option<Tensor>,
}

impl Layer {
    /// Computes the layer's output of `input`, both (tokens, `hidden_size`).
    pub(crate) fn forward(
        &self,
        context: &Context<'_>,
        input: &Tensor,
    ) -> Result<(Tensor, LayerTape), NativeError> {
        let parameters = context.parameters;
        let dropout = context.dropout.as_ref();
        let angles = context.angles.of(self.layer_type);
        let normed = self.input_norm.forward(parameters, input)?;
        let (query, query_tape) = self.query.forward(parameters, &normed, dropout)?;
        let (key, key_tape) = self.key.forward(parameters, &normed, dropout)?;
        let (value, value_tape) = self.value.forward(parameters, &normed, dropout)?;
        let (query, key, unnormed) = match (&self.query_norm, &self.key_norm) {
            (Some(query_norm), Some(key_norm)) => (
                query_norm.forward(parameters, &query)?,
                key_norm.forward(parameters, &key)?,
                Some((query, key)),
            ),
            _ => (query, key, None),
        };
        let query = rotate(&query, angles, Turn::Forward)?;
        let key = rotate(&key, angles, Turn::Forward)?;
        let attended = self
            .attention
            .forward(&query, &key, &value, context.sequences)?;
        let (projected, output_tape) =
            self.output.forward(parameters, &attended.output, dropout)?;
        let (middle, projected) =
            residual(parameters, input, projected, self.attention_norm.as_ref())?;
        let mlp_normed = self.mlp_input_norm.forward(parameters, &middle)?;
        let gate = self.gate.forward(parameters, &mlp_normed, dropout)?;
        let up = self.up.forward(parameters, &mlp_normed, dropout)?;
        let product = gated::forward(self.activation, &gate.0, &up.0)?;
        let (lowered, down_tape) = self.down.forward(parameters, &product, dropout)?;
        let (output, lowered) = residual(parameters, &middle, lowered, self.mlp_norm.as_ref())?;
        let tape = LayerTape {
            normed,
            projections: [query_tape, key_tape, value_tape],
            unnormed,
            query,
            key,
            value,
            attended,
            output: output_tape,
            projected,
            middle,
            mlp_normed,
            gate,
            up,
            product,
            down: down_tape,
            lowered,
        };
        Ok((output, tape))
    }

    /// Adds the gradients of what is trained; returns the input's, if it is needed.
    pub(crate) fn backward(
        &self,
        context: &Context<'_>,
        input: &Tensor,
        tape: &LayerTape,
        upstream: &Tensor,
        needs_input: bool,
        gradients: &mut Gradients,
    ) -> Result<Option<Tensor>, NativeError> {
        let parameters = context.parameters;
        let of_middle = self.backward_of_mlp(context, tape, upstream, gradients)?;
        let dropout = context.dropout.as_ref();
        let angles = context.angles.of(self.layer_type);
        let of_projected = match (&self.attention_norm, &tape.projected) {
            (Some(norm), Some(projected)) => {
                &norm.backward(parameters, projected, &of_middle, gradients)?
            }
            _ => &of_middle,
        };
        let attended = &tape.attended;
        let of_attended = needed(self.output.backward(
            parameters,
            &attended.output,
            &tape.output,
            of_projected,
            dropout,
            true,
            gradients,
        )?);
        let inputs = [&tape.query, &tape.key, &tape.value];
        let found = self
            .attention
            .backward(inputs, attended, &of_attended, context.sequences)?;
        let mut of_query = rotate(&found.query, angles, Turn::Backward)?;
        let mut of_key = rotate(&found.key, angles, Turn::Backward)?;
        if let (Some((query, key)), Some(query_norm), Some(key_norm)) =
            (&tape.unnormed, &self.query_norm, &self.key_norm)
        {
            of_query = query_norm.backward(parameters, query, &of_query, gradients)?;
            of_key = key_norm.backward(parameters, key, &of_key, gradients)?;
        }
        let needs_normed = needs_input || self.input_norm.weight.trained().is_some();
        let mut of_normed: Option<Tensor> = None;
        let projections = [&self.query, &self.key, &self.value];
        let upstreams = [of_query, of_key, found.value];
        for ((linear, tape_of), upstream) in projections
            .into_iter()
            .zip(&tape.projections)
            .zip(upstreams)
        {
            let part = linear.backward(
                parameters,
                &tape.normed,
                tape_of,
                &upstream,
                dropout,
                needs_normed,
                gradients,
            )?;
            of_normed = match (of_normed, part) {
                (Some(known), Some(part)) => Some(sum::add(known, &part)?),
                (sum, part) => sum.or(part),
            };
        }
        let Some(of_normed) = of_normed else {
            return Ok(None);
        };
        let of_input = self
            .input_norm
            .backward(parameters, input, &of_normed, gradients)?;
        Ok(Some(sum::add(of_input, &of_middle)?))
    }

    /// Returns the gradient of what the feed-forward network is added to.
    fn backward_of_mlp(
        &self,
        context: &Context<'_>,
        tape: &LayerTape,
        upstream: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<Tensor, NativeError> {
        let parameters = context.parameters;
        let dropout = context.dropout.as_ref();
        let of_lowered = match (&self.mlp_norm, &tape.lowered) {
            (Some(norm), Some(lowered)) => {
                &norm.backward(parameters, lowered, upstream, gradients)?
            }
            _ => upstream,
        };
        let of_product = needed(self.down.backward(
            parameters,
            &tape.product,
            &tape.down,
            of_lowered,
            dropout,
            true,
            gradients,
        )?);
        let (gate, up) = (&tape.gate, &tape.up);
        let (of_gate, of_up) = gated::backward(self.activation, &gate.0, &up.0, &of_product)?;
        drop(of_product);
        let mut back = |linear: &Linear, tape_of: &LinearTape, upstream: Tensor| {
            let input = &tape.mlp_normed;
            linear
                .backward(
                    parameters, input, tape_of, &upstream, dropout, true, gradients,
                )
                .map(needed)
        };
        let of_normed = back(&self.gate, &gate.1, of_gate)?;
        let of_normed = sum::add(of_normed, &back(&self.up, &up.1, of_up)?)?;
        let of_middle =
            self.mlp_input_norm
                .backward(parameters, &tape.middle, &of_normed, gradients)?;
        Ok(sum::add(of_middle, upstream)?)
    }
}

/// Adds `change`, normed where there is a norm, which then needs what it was before.
fn residual(
    parameters: &Parameters,
    input: &Tensor,
    change: Tensor,
    norm: Option<&Norm>,
) -> Result<(Tensor, Option<Tensor>), NativeError> {
    match norm {
        Some(norm) => {
            let normed = norm.forward(parameters, &change)?;
            Ok((sum::add(normed, input)?, Some(change)))
        }
        None => Ok((sum::add(change, input)?, None)),
    }
}

fn needed(gradient: Option<Tensor>) -> Tensor {
    gradient.expect("asked for")
}
