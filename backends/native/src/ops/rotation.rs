//! Rotary position embeddings (Su et al. 2021), pairs half a head apart.

use candle_core::{D, Tensor};

use crate::host;
use crate::rows;

/// Cosines and sines of every token's angles, each (tokens, `head_dim` / 2).
#[derive(Clone, Debug)]
pub(crate) struct Angles {
    pub(crate) cosine: Tensor,
    pub(crate) sine: Tensor,
}

/// Which way to turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// By the angles.
    Forward,
    /// Back; this is also what the gradient does.
    Backward,
}

/// Turns all heads of `input` (tokens, heads · `head_dim`).
pub(crate) fn rotate(input: &Tensor, angles: &Angles, turn: Turn) -> candle_core::Result<Tensor> {
    let (count, features) = input.dims2()?;
    let half = angles.cosine.dim(1)?;
    if !host::is_on_host(input) {
        return rotate_anywhere(input, angles, turn);
    }
    let x = host::values(input)?;
    let (cosines, sines) = (host::values(&angles.cosine)?, host::values(&angles.sine)?);
    let sign = if turn == Turn::Forward { 1.0 } else { -1.0 };
    // A row of the table for every row of the input, so that both are shared out alike.
    let mut output = x.to_vec();
    let table: Vec<f32> = cosines
        .chunks_exact(half)
        .zip(sines.chunks_exact(half))
        .flat_map(|(cosines, sines)| {
            cosines
                .iter()
                .copied()
                .chain(sines.iter().map(|sine| sign * sine))
        })
        .collect();
    rows::with_table(
        &mut output,
        features,
        &table,
        2 * half,
        #[inline(always)]
        |row, table| {
            let (cosines, sines) = table.split_at(half);
            for head in row.chunks_exact_mut(2 * half) {
                let (first, second) = head.split_at_mut(half);
                let pairs = first.iter_mut().zip(second);
                for ((first, second), (cosine, sine)) in pairs.zip(cosines.iter().zip(sines)) {
                    let (x, y) = (*first, *second);
                    *first = x * cosine - y * sine;
                    *second = y * cosine + x * sine;
                }
            }
        },
    );
    host::tensor(output, (count, features))
}

fn rotate_anywhere(input: &Tensor, angles: &Angles, turn: Turn) -> candle_core::Result<Tensor> {
    let (count, features) = input.dims2()?;
    let half = angles.cosine.dim(1)?;
    let heads = input.reshape((count, features / (2 * half), 2 * half))?;
    // In 16 bits every product would be rounded before it is added.
    let heads = heads.to_dtype(angles.cosine.dtype())?;
    let (first, second) = (heads.narrow(2, 0, half)?, heads.narrow(2, half, half)?);
    let (cosine, sine) = (angles.cosine.unsqueeze(1)?, angles.sine.unsqueeze(1)?);
    let sine = if turn == Turn::Forward {
        sine
    } else {
        sine.neg()?
    };
    let turned_first = (first.broadcast_mul(&cosine)? - second.broadcast_mul(&sine)?)?;
    let turned_second = (second.broadcast_mul(&cosine)? + first.broadcast_mul(&sine)?)?;
    Tensor::cat(&[turned_first, turned_second], D::Minus1)?
        .reshape((count, features))?
        .to_dtype(input.dtype())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, assert_gradient, random};

    #[test]
    fn host_and_candle_agree_and_turning_back_is_the_gradient() {
        let angle = (random((9, 8), 1) * 3.0).unwrap();
        let angles = Angles {
            cosine: angle.cos().unwrap(),
            sine: angle.sin().unwrap(),
        };
        let (x, upstream) = (random((9, 48), 2), random((9, 48), 3));
        let turned = rotate(&x, &angles, Turn::Forward).unwrap();
        assert_close(
            &turned,
            &rotate_anywhere(&x, &angles, Turn::Forward).unwrap(),
            1e-6,
        );
        assert_close(&rotate(&turned, &angles, Turn::Backward).unwrap(), &x, 1e-6);
        let gradient = rotate(&upstream, &angles, Turn::Backward).unwrap();
        assert_close(
            &gradient,
            &rotate_anywhere(&upstream, &angles, Turn::Backward).unwrap(),
            1e-6,
        );
        assert_gradient(&x, &gradient, &upstream, |x| {
            rotate(x, &angles, Turn::Forward).unwrap()
        });
    }
}
