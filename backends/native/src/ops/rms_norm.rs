//! The norm by the root of the mean square (Zhang & Sennrich 2019).

#![expect(
    clippy::inline_always,
    reason = "vectors are made only of what lies within one function"
)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "constants are rounded to the format computed in"
)]

use candle_core::{D, DType, Tensor};
use rayon::prelude::*;

use crate::host;
use crate::rows;

/// A norm's constants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RmsNorm {
    /// What is added to the mean square.
    pub(crate) epsilon: f64,
    /// Whether the gain is one more than the weight (Gemma).
    pub(crate) adds_one: bool,
}

/// What a norm's backward pass gives.
pub(crate) struct RmsNormGradients {
    /// Of the input: (rows, features).
    pub(crate) input: Tensor,
    /// Of the weight, `f32`, if asked for: (features).
    pub(crate) weight: Option<Tensor>,
}

impl RmsNorm {
    /// Computes gain · x / √(mean(x²) + ε) of every row of `input` (rows, features).
    pub(crate) fn forward(self, input: &Tensor, weight: &Tensor) -> candle_core::Result<Tensor> {
        if !host::is_on_host(input) {
            return self.forward_anywhere(input, weight);
        }
        let (count, features) = input.dims2()?;
        let (x, weight) = (host::values(input)?, host::values(weight)?);
        let gain = self.gain(&weight);
        let mut output = vec![0.0; count * features];
        let epsilon = self.epsilon as f32;
        rows::with_one(
            &mut output,
            &x,
            features,
            #[inline(always)]
            |output, x| {
                let scale = inverse_root(x, epsilon);
                for ((output, x), gain) in output.iter_mut().zip(x).zip(&gain) {
                    *output = x * scale * gain;
                }
            },
        );
        host::tensor(output, (count, features))
    }

    /// Computes the gradients, given the output's.
    ///
    /// With s = 1/√(mean(x²)+ε), g the gain and d the output's gradient, the input's is
    /// s·(g·d − x·s²·mean(g·d·x)), the weight's the sum over rows of d·x·s.
    pub(crate) fn backward(
        self,
        input: &Tensor,
        weight: &Tensor,
        upstream: &Tensor,
        trains_weight: bool,
    ) -> candle_core::Result<RmsNormGradients> {
        if !host::is_on_host(input) {
            return self.backward_anywhere(input, weight, upstream, trains_weight);
        }
        let (count, features) = input.dims2()?;
        let (x, weight) = (host::values(input)?, host::values(weight)?);
        let upstream = host::values(upstream)?;
        let gain = self.gain(&weight);
        let epsilon = self.epsilon as f32;
        let mut gradient = vec![0.0; count * features];
        rows::with_two(
            &mut gradient,
            [&x, &upstream],
            features,
            #[inline(always)]
            |gradient, x, upstream| {
                let scale = inverse_root(x, epsilon);
                let mut sums = [0.0; LANES];
                for (idx, ((x, upstream), gain)) in x.iter().zip(upstream).zip(&gain).enumerate() {
                    sums[idx % LANES] += x * upstream * gain;
                }
                let mean = sums.iter().sum::<f32>() / features as f32;
                let along = scale * scale * mean;
                for (((gradient, x), upstream), gain) in
                    gradient.iter_mut().zip(x).zip(upstream).zip(&gain)
                {
                    *gradient = scale * (gain * upstream - x * along);
                }
            },
        );
        let weight = trains_weight.then(|| {
            let sums = weight_gradient(&x, &upstream, features, epsilon);
            host::tensor(sums, features)
        });
        Ok(RmsNormGradients {
            input: host::tensor(gradient, (count, features))?,
            weight: weight.transpose()?,
        })
    }

    fn gain(self, weight: &[f32]) -> Vec<f32> {
        let more = if self.adds_one { 1.0 } else { 0.0 };
        weight.iter().map(|weight| weight + more).collect()
    }

    fn forward_anywhere(self, input: &Tensor, weight: &Tensor) -> candle_core::Result<Tensor> {
        let (x, scale) = self.scaled(input)?;
        let gain = self.gain_anywhere(weight)?;
        x.broadcast_mul(&scale)?
            .broadcast_mul(&gain)?
            .to_dtype(input.dtype())
    }

    fn backward_anywhere(
        self,
        input: &Tensor,
        weight: &Tensor,
        upstream: &Tensor,
        trains_weight: bool,
    ) -> candle_core::Result<RmsNormGradients> {
        let (x, scale) = self.scaled(input)?;
        let upstream = upstream.to_dtype(DType::F32)?;
        let normal = x.broadcast_mul(&scale)?;
        let gained = upstream.broadcast_mul(&self.gain_anywhere(weight)?)?;
        let mean = (&gained * &normal)?.mean_keepdim(D::Minus1)?;
        let gradient = (gained - normal.broadcast_mul(&mean)?)?.broadcast_mul(&scale)?;
        let weight = trains_weight.then(|| (upstream * normal)?.sum(0));
        Ok(RmsNormGradients {
            input: gradient.to_dtype(input.dtype())?,
            weight: weight.transpose()?,
        })
    }

    /// Returns the input in `f32` and what each row is multiplied by.
    fn scaled(self, input: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
        let x = input.to_dtype(DType::F32)?;
        let square = (x.sqr()?.mean_keepdim(D::Minus1)? + self.epsilon)?;
        Ok((x, square.sqrt()?.recip()?))
    }

    fn gain_anywhere(self, weight: &Tensor) -> candle_core::Result<Tensor> {
        let more = if self.adds_one { 1.0 } else { 0.0 };
        weight.to_dtype(DType::F32)? + more
    }
}

/// Sums of a row that grow side by side, so that they make a vector.
const LANES: usize = 16;

#[inline(always)]
fn inverse_root(x: &[f32], epsilon: f32) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().map(|x| x * x).sum();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += x * x;
        }
    }
    let mean = (sums.iter().sum::<f32>() + rest) / x.len() as f32;
    1.0 / (mean + epsilon).sqrt()
}

/// Rows whose sum is made by one thread; fixed, so that bits do not depend on the threads.
const ROWS_SUMMED: usize = 256;

fn weight_gradient(x: &[f32], upstream: &[f32], features: usize, epsilon: f32) -> Vec<f32> {
    let rows = ROWS_SUMMED * features;
    let pieces = x.par_chunks(rows).zip(upstream.par_chunks(rows));
    let sums: Vec<Vec<f32>> = pieces
        .map(|(x, upstream)| {
            let mut sums = vec![0.0; features];
            for (x, upstream) in x
                .chunks_exact(features)
                .zip(upstream.chunks_exact(features))
            {
                let scale = inverse_root(x, epsilon);
                for ((sum, x), upstream) in sums.iter_mut().zip(x).zip(upstream) {
                    *sum += upstream * x * scale;
                }
            }
            sums
        })
        .collect();
    let mut total = vec![0.0; features];
    for piece in sums {
        for (total, sum) in total.iter_mut().zip(piece) {
            *total += sum;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, assert_gradient, random};

    #[test]
    fn host_and_candle_agree_and_gradients_are_the_slopes() {
        for adds_one in [false, true] {
            let norm = RmsNorm {
                epsilon: 1e-5,
                adds_one,
            };
            let (x, weight, upstream) = (random((5, 36), 1), random(36, 2), random((5, 36), 3));
            let host = norm.forward(&x, &weight).unwrap();
            assert_close(&host, &norm.forward_anywhere(&x, &weight).unwrap(), 1e-6);
            let found = norm.backward(&x, &weight, &upstream, true).unwrap();
            let other = norm
                .backward_anywhere(&x, &weight, &upstream, true)
                .unwrap();
            assert_close(&found.input, &other.input, 2e-6);
            let (found_weight, other_weight) = (found.weight.unwrap(), other.weight.unwrap());
            assert_close(&found_weight, &other_weight, 2e-6);
            assert_gradient(&x, &found.input, &upstream, |x| {
                norm.forward(x, &weight).unwrap()
            });
            assert_gradient(&weight, &found_weight, &upstream, |weight| {
                norm.forward(&x, weight).unwrap()
            });
        }
    }
}
