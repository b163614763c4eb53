//! From hidden states to losses: logits exist for some positions at a time, and only for those that
//! carry a label.

#![expect(
    clippy::cast_possible_truncation,
    reason = "constants are rounded to the format computed in"
)]

use candle_core::{D, DType, Tensor};
use pulp::Arch;
use rayon::prelude::*;

use super::linear::Linear;
use crate::error::NativeError;
use crate::ops::attention::exponentials;
use crate::ops::exponential::tanh;
use crate::parameters::{Gradients, Parameters};
use crate::{heap, host};

/// Bytes of logits that exist at once, where nothing else is asked for.
const LOGITS: usize = 64 << 20;

/// The head, which turns hidden states into logits.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) linear: Linear,
    /// Logits are kept within ± this by a hyperbolic tangent (Gemma).
    pub(crate) softcap: Option<f64>,
}

/// Gradients that are wanted.
pub(crate) struct Wanted<'a> {
    /// What every position's loss counts.
    pub(crate) scale: f64,
    pub(crate) gradients: &'a mut Gradients,
}

impl Head {
    /// Returns how many positions have their logits at once, if that is not said.
    pub(crate) fn usual_chunk(&self) -> usize {
        (LOGITS / (4 * self.linear.outputs.max(1))).clamp(32, 1024)
    }

    /// Computes the logits of `hidden` (tokens, `hidden_size`): (tokens, `vocab_size`), `f32`.
    pub(crate) fn logits(
        &self,
        parameters: &Parameters,
        hidden: &Tensor,
    ) -> Result<Tensor, NativeError> {
        let (logits, _) = self.linear.forward(parameters, hidden, None)?;
        Ok(capped(&logits.to_dtype(DType::F32)?, self.softcap)?)
    }

    /// Computes the negative log likelihood, in nats, of each label given its row of `hidden`
    /// (labels, `hidden_size`), and the gradient of `hidden` where gradients are wanted.
    pub(crate) fn losses(
        &self,
        parameters: &Parameters,
        hidden: &Tensor,
        labels: &[u32],
        chunk: usize,
        mut wanted: Option<Wanted<'_>>,
    ) -> Result<(Vec<f32>, Option<Tensor>), NativeError> {
        let at_once = chunk.min(labels.len()) * self.linear.outputs * size_of::<f32>();
        if host::is_on_host(hidden) && at_once >= heap::OWN_PAGES {
            heap::give_back();
        }
        let mut losses = Vec::with_capacity(labels.len());
        let mut gradients = Vec::new();
        for (idx, labels) in labels.chunks(chunk).enumerate() {
            let rows = hidden.narrow(0, idx * chunk, labels.len())?;
            let (logits, tape) = self.linear.forward(parameters, &rows, None)?;
            let scale = wanted.as_ref().map(|wanted| wanted.scale);
            let (found, of_logits) = if host::is_on_host(&logits) {
                self.losses_on_host(logits, labels, scale)?
            } else {
                self.losses_anywhere(&logits, labels, scale)?
            };
            losses.extend(found);
            if let Some(wanted) = &mut wanted {
                let of_rows = self.linear.backward(
                    parameters,
                    &rows,
                    &tape,
                    &of_logits,
                    None,
                    true,
                    wanted.gradients,
                )?;
                gradients.extend(of_rows);
            }
        }
        let gradient = wanted.map(|_| Tensor::cat(&gradients, 0)).transpose()?;
        Ok((losses, gradient))
    }

    /// Returns losses, and the gradient of the logits in their place.
    fn losses_on_host(
        &self,
        logits: Tensor,
        labels: &[u32],
        scale: Option<f64>,
    ) -> candle_core::Result<(Vec<f32>, Tensor)> {
        let vocab_size = logits.dim(1)?;
        let cap = self.softcap.map(|cap| cap as f32);
        let scale = scale.map(|scale| scale as f32);
        let mut losses = Vec::new();
        host::change(&logits, |logits| {
            let rows = logits.par_chunks_mut(vocab_size).zip(labels);
            let found = rows.map(|(row, &label)| loss(row, label as usize, cap, scale));
            losses = found.collect();
        })?;
        Ok((losses, logits))
    }

    fn losses_anywhere(
        &self,
        logits: &Tensor,
        labels: &[u32],
        scale: Option<f64>,
    ) -> candle_core::Result<(Vec<f32>, Tensor)> {
        let dtype = logits.dtype();
        let logits = capped(&logits.to_dtype(DType::F32)?, self.softcap)?;
        let most = logits.max_keepdim(D::Minus1)?;
        let exponentials = logits.broadcast_sub(&most)?.exp()?;
        let sums = exponentials.sum_keepdim(D::Minus1)?;
        let labels = Tensor::new(labels, logits.device())?.unsqueeze(1)?;
        let log_sums = (most + sums.log()?)?;
        let losses = (log_sums - logits.gather(&labels, 1)?)?
            .squeeze(1)?
            .to_vec1()?;
        let Some(scale) = scale else {
            return Ok((losses, logits));
        };
        let probabilities = (exponentials.broadcast_div(&sums)? * scale)?;
        let taken = Tensor::full(-scale as f32, labels.shape(), logits.device())?;
        let mut gradient = probabilities.scatter_add(&labels, &taken, 1)?;
        if let Some(cap) = self.softcap {
            gradient = (gradient * (1.0 - (logits / cap)?.sqr()?)?)?;
        }
        Ok((losses, gradient.to_dtype(dtype)?))
    }
}

fn capped(logits: &Tensor, cap: Option<f64>) -> candle_core::Result<Tensor> {
    match cap {
        Some(cap) => (logits / cap)?.tanh()? * cap,
        None => Ok(logits.clone()),
    }
}

/// Returns the loss of one position; its logits become their gradient, or anything where no scale is given.
fn loss(logits: &mut [f32], label: usize, cap: Option<f32>, scale: Option<f32>) -> f32 {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            if let Some(cap) = cap {
                for logit in logits.iter_mut() {
                    *logit = cap * tanh(*logit / cap);
                }
            }
            let right = logits[label];
            let most =
                logits.iter().fold(
                    f32::NEG_INFINITY,
                    |most, &logit| {
                        if logit > most { logit } else { most }
                    },
                );
            // The slopes of capped logits are lost when these become exponentials.
            let slopes: Option<Vec<f32>> = cap.filter(|_| scale.is_some()).map(|cap| {
                let slope = |logit: &f32| 1.0 - (logit / cap) * (logit / cap);
                logits.iter().map(slope).collect()
            });
            let sum = exponentials(logits, most);
            let loss = most + sum.ln() - right;
            if let Some(scale) = scale {
                let factor = scale / sum;
                for logit in logits.iter_mut() {
                    *logit *= factor;
                }
                logits[label] -= scale;
                for (logit, slope) in logits.iter_mut().zip(slopes.iter().flatten()) {
                    *logit *= slope;
                }
            }
            loss
        },
    )
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::decoder::linear::Weight;
    use crate::parameters::{Parameter, ParameterId};
    use crate::testing::{assert_close, assert_gradient, list, random};

    fn head(cap: Option<f64>) -> (Head, Parameters, ParameterId) {
        let mut parameters = Parameters::default();
        let weight = parameters.add(Parameter {
            name: "lm_head.weight".to_owned(),
            value: random((37, 12), 5),
            decays: true,
        });
        let linear = Linear {
            outputs: 37,
            inputs: 12,
            weight: Weight::Trained(weight),
            bias: None,
            low_rank: None,
        };
        let head = Head {
            linear,
            softcap: cap,
        };
        (head, parameters, weight)
    }

    #[test_case(None; "plain")]
    #[test_case(Some(1.5); "capped")]
    fn host_and_candle_agree_and_gradients_are_the_slopes(cap: Option<f64>) {
        let (head, parameters, weight) = head(cap);
        let hidden = random((9, 12), 6);
        let labels = [0, 36, 5, 7, 7, 1, 20, 30, 2];
        let mut gradients = Gradients::new(&parameters);
        let wanted = Wanted {
            scale: 0.25,
            gradients: &mut gradients,
        };
        let (losses, gradient) = head
            .losses(&parameters, &hidden, &labels, 4, Some(wanted))
            .unwrap();
        let (logits, _) = head.linear.forward(&parameters, &hidden, None).unwrap();
        let (other, of_logits) = head.losses_anywhere(&logits, &labels, Some(0.25)).unwrap();
        for (loss, other) in losses.iter().zip(other) {
            assert!((loss - other).abs() < 1e-6, "{loss} {other}");
        }
        let (_, host) = head.losses_on_host(logits, &labels, Some(0.25)).unwrap();
        assert_close(&host, &of_logits, 1e-6);
        let quarter = random(9, 1).ones_like().unwrap();
        let quarter = (quarter * 0.25).unwrap();
        let loss = |hidden: &Tensor, parameters: &Parameters| {
            let (losses, _) = head.losses(parameters, hidden, &labels, 100, None).unwrap();
            host::tensor(losses, 9).unwrap()
        };
        assert_gradient(&hidden, &gradient.unwrap(), &quarter, |hidden| {
            loss(hidden, &parameters)
        });
        let of_weight = gradients.get(weight).unwrap();
        assert_gradient(parameters.value(weight), of_weight, &quarter, |value| {
            let mut parameters = parameters.clone();
            parameters.set(weight, value.clone());
            loss(&hidden, &parameters)
        });
    }

    #[test]
    fn losses_are_those_of_the_logits() {
        let (head, parameters, _) = head(Some(2.0));
        let hidden = random((3, 12), 6);
        let logits = list(&head.logits(&parameters, &hidden).unwrap());
        let (losses, _) = head
            .losses(&parameters, &hidden, &[3, 4, 5], 2, None)
            .unwrap();
        for (idx, loss) in losses.iter().enumerate() {
            let row = &logits[idx * 37..(idx + 1) * 37];
            let sum: f32 = row.iter().map(|logit| logit.exp()).sum();
            assert!((sum.ln() - row[3 + idx] - loss).abs() < 1e-5);
        }
    }
}
