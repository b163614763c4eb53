//! The gated activation of a feed-forward network: activation(gate) · up.

#![expect(
    clippy::inline_always,
    reason = "vectors are made only of what lies within one function"
)]

use candle_core::{DType, Tensor};
use shipworthy_models::Activation;

use crate::host;
use crate::ops::exponential::{sigmoid, tanh};
use crate::rows;

/// Rows whose slopes exist at once elsewhere than on the host: candle's operations leave ten matrices behind.
pub(crate) const SLOPE_ROWS: usize = 512;

/// √(2/π), in the approximation of GELU (Hendrycks & Gimpel 2016).
const ROOT: f32 = 0.797_884_6;
/// The factor of the cube in it.
const CUBE: f32 = 0.044_715;

/// Computes activation(gate) · up, all (tokens, features).
pub(crate) fn forward(
    activation: Activation,
    gate: &Tensor,
    up: &Tensor,
) -> candle_core::Result<Tensor> {
    if !host::is_on_host(gate) {
        return forward_anywhere(activation, gate, up);
    }
    let (count, features) = gate.dims2()?;
    let (gates, ups) = (host::values(gate)?, host::values(up)?);
    let mut output = vec![0.0; count * features];
    let inputs = [&*gates, &*ups];
    match activation {
        Activation::Silu => apply(&mut output, inputs, features, |x, up| silu(x).0 * up),
        Activation::GeluTanh => apply(&mut output, inputs, features, |x, up| gelu(x).0 * up),
    }
    host::tensor(output, (count, features))
}

/// Computes the gradients of gate and up, given the product's.
pub(crate) fn backward(
    activation: Activation,
    gate: &Tensor,
    up: &Tensor,
    upstream: &Tensor,
) -> candle_core::Result<(Tensor, Tensor)> {
    if !host::is_on_host(gate) {
        return backward_anywhere(activation, [gate, up, upstream], SLOPE_ROWS);
    }
    let (count, features) = gate.dims2()?;
    let (gates, ups) = (host::values(gate)?, host::values(up)?);
    let upstream = host::values(upstream)?;
    let mut of_gate = vec![0.0; count * features];
    let mut of_up = vec![0.0; count * features];
    let (values, slopes) = ([&*gates, &*upstream], [&*gates, &*ups]);
    match activation {
        Activation::Silu => {
            apply(&mut of_up, values, features, |x, upstream| {
                silu(x).0 * upstream
            });
            apply(&mut of_gate, slopes, features, |x, up| silu(x).1 * up);
        }
        Activation::GeluTanh => {
            apply(&mut of_up, values, features, |x, upstream| {
                gelu(x).0 * upstream
            });
            apply(&mut of_gate, slopes, features, |x, up| gelu(x).1 * up);
        }
    }
    rows::with_one(
        &mut of_gate,
        &upstream,
        features,
        #[inline(always)]
        |of_gate, upstream| {
            for (of_gate, upstream) in of_gate.iter_mut().zip(upstream) {
                *of_gate *= upstream;
            }
        },
    );
    let shape = (count, features);
    Ok((host::tensor(of_gate, shape)?, host::tensor(of_up, shape)?))
}

fn apply(
    output: &mut [f32],
    inputs: [&[f32]; 2],
    features: usize,
    of_values: impl Fn(f32, f32) -> f32 + Sync,
) {
    rows::with_two(
        output,
        inputs,
        features,
        #[inline(always)]
        |output, first, second| {
            for ((output, first), second) in output.iter_mut().zip(first).zip(second) {
                *output = of_values(*first, *second);
            }
        },
    );
}

/// Returns x·σ(x) and its slope.
#[inline(always)]
fn silu(x: f32) -> (f32, f32) {
    let sigmoid = sigmoid(x);
    (x * sigmoid, sigmoid * (1.0 + x * (1.0 - sigmoid)))
}

/// Returns GELU by the hyperbolic tangent, and its slope.
#[inline(always)]
fn gelu(x: f32) -> (f32, f32) {
    let inner = ROOT * (x + CUBE * x * x * x);
    let tanh = tanh(inner);
    let slope = ROOT * (1.0 + 3.0 * CUBE * x * x);
    let value = 0.5 * x * (1.0 + tanh);
    (
        value,
        0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * slope,
    )
}

fn forward_anywhere(
    activation: Activation,
    gate: &Tensor,
    up: &Tensor,
) -> candle_core::Result<Tensor> {
    match activation {
        Activation::Silu => gate.silu()? * up,
        Activation::GeluTanh => gate.gelu()? * up,
    }
}

fn backward_anywhere(
    activation: Activation,
    [gate, up, upstream]: [&Tensor; 3],
    rows_at_once: usize,
) -> candle_core::Result<(Tensor, Tensor)> {
    let count = gate.dim(0)?;
    if count <= rows_at_once {
        return backward_of_rows(activation, gate, up, upstream);
    }
    let (of_gate, of_up) = (gate.zeros_like()?, up.zeros_like()?);
    for start in (0..count).step_by(rows_at_once) {
        let rows = |tensor: &Tensor| tensor.narrow(0, start, rows_at_once.min(count - start));
        let found = backward_of_rows(activation, &rows(gate)?, &rows(up)?, &rows(upstream)?)?;
        of_gate.slice_set(&found.0, 0, start)?;
        of_up.slice_set(&found.1, 0, start)?;
    }
    Ok((of_gate, of_up))
}

fn backward_of_rows(
    activation: Activation,
    gate: &Tensor,
    up: &Tensor,
    upstream: &Tensor,
) -> candle_core::Result<(Tensor, Tensor)> {
    let of_up = forward_anywhere(activation, gate, upstream)?;
    let x = gate.to_dtype(DType::F32)?;
    let slope = match activation {
        Activation::Silu => {
            let sigmoid = ((x.neg()?.exp()? + 1.0)?).recip()?;
            let rest = (1.0 - &sigmoid)?;
            ((x * rest)? + 1.0)? * sigmoid
        }
        Activation::GeluTanh => {
            let (root, cube) = (f64::from(ROOT), f64::from(CUBE));
            let square = x.sqr()?;
            let tanh = ((&x * root)? * ((&square * cube)? + 1.0)?)?.tanh()?;
            let inner = ((square * (3.0 * cube * root))? + root)?;
            let sides = (1.0 - tanh.sqr()?)?;
            let near = ((x * sides)? * inner)?;
            ((tanh + 1.0)? + near)? * 0.5
        }
    }?;
    let of_gate = ((slope.to_dtype(gate.dtype())? * up)? * upstream)?;
    Ok((of_gate, of_up))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::testing::{assert_close, assert_gradient, random};

    #[test_case(Activation::Silu)]
    #[test_case(Activation::GeluTanh)]
    fn host_and_candle_agree_and_gradients_are_the_slopes(activation: Activation) {
        let shape = (7, 33);
        let gate = (random(shape, 1) * 4.0).unwrap();
        let (up, upstream) = (random(shape, 2), random(shape, 3));
        let host = forward(activation, &gate, &up).unwrap();
        assert_close(
            &host,
            &forward_anywhere(activation, &gate, &up).unwrap(),
            2e-6,
        );
        let found = backward(activation, &gate, &up, &upstream).unwrap();
        for rows_at_once in [7, 3, 1] {
            let inputs = [&gate, &up, &upstream];
            let other = backward_anywhere(activation, inputs, rows_at_once).unwrap();
            assert_close(&found.0, &other.0, 2e-6);
            assert_close(&found.1, &other.1, 2e-6);
        }
        assert_gradient(&gate, &found.0, &upstream, |gate| {
            forward(activation, gate, &up).unwrap()
        });
        assert_gradient(&up, &found.1, &upstream, |up| {
            forward(activation, &gate, up).unwrap()
        });
    }
}
