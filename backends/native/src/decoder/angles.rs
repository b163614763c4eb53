//! From positions to angles: a model's rotary embeddings and their scalings.

#![expect(
    clippy::cast_possible_truncation,
    reason = "constants are rounded to the format computed in"
)]

use std::f64::consts::TAU;

use candle_core::Tensor;
use shipworthy_models::{
    HyperParameters, LayerType, Llama3Scaling, Rope, RopeScaling, YarnScaling,
};

use crate::batch::Batch;
use crate::compute::Compute;
use crate::ops::rotation::Angles;

/// Angles by which each pair of a head's values turns from one position to the next.
#[derive(Clone, Debug)]
pub(crate) struct Frequencies {
    /// `head_dim` / 2 of them, in radians.
    angles: Vec<f32>,
    /// What cosines and sines are multiplied by (`YaRN`).
    magnitude: f64,
}

/// The frequencies of layers that see everything and, where they differ, of those with a window.
#[derive(Clone, Debug)]
pub(crate) struct ModelFrequencies {
    global: Frequencies,
    local: Option<Frequencies>,
}

/// The angles of a batch's tokens.
#[derive(Clone, Debug)]
pub(crate) struct BatchAngles {
    global: Angles,
    local: Option<Angles>,
}

impl ModelFrequencies {
    pub(crate) fn new(parameters: &HyperParameters) -> Self {
        let rope = &parameters.rope;
        Self {
            global: Frequencies::new(rope, parameters.head_dim),
            local: rope
                .local_theta
                .map(|theta| Frequencies::unscaled(theta, parameters.head_dim)),
        }
    }

    pub(crate) fn angles(
        &self,
        batch: &Batch,
        compute: &Compute,
    ) -> candle_core::Result<BatchAngles> {
        let local = self
            .local
            .as_ref()
            .map(|local| local.angles(batch, compute));
        Ok(BatchAngles {
            global: self.global.angles(batch, compute)?,
            local: local.transpose()?,
        })
    }
}

impl BatchAngles {
    pub(crate) fn of(&self, layer: LayerType) -> &Angles {
        match (layer, &self.local) {
            (LayerType::Sliding, Some(local)) => local,
            _ => &self.global,
        }
    }
}

impl Frequencies {
    fn unscaled(theta: f64, head_dim: u32) -> Self {
        // Powers and quotients are rounded to `f32` as PyTorch does it: at long contexts a difference in the
        // last bit is a difference in the angle.
        let angle = |pair: u32| {
            let power = (theta as f32).powf((2 * pair) as f32 / head_dim as f32);
            1.0 / power
        };
        Self {
            angles: (0..head_dim / 2).map(angle).collect(),
            magnitude: 1.0,
        }
    }

    fn new(rope: &Rope, head_dim: u32) -> Self {
        let plain = Self::unscaled(rope.theta, head_dim);
        match &rope.scaling {
            RopeScaling::None => plain,
            RopeScaling::Linear { factor } => Self {
                angles: plain
                    .angles
                    .iter()
                    .map(|angle| angle / *factor as f32)
                    .collect(),
                ..plain
            },
            RopeScaling::Llama3(scaling) => Self {
                angles: plain
                    .angles
                    .iter()
                    .map(|&angle| llama3(angle, scaling))
                    .collect(),
                ..plain
            },
            RopeScaling::Yarn(scaling) => yarn(&plain.angles, rope.theta, head_dim, scaling),
        }
    }

    /// Computes cosines and sines for every token, (tokens, `head_dim` / 2); positions begin at 0 in every
    /// sequence.
    fn angles(&self, batch: &Batch, compute: &Compute) -> candle_core::Result<Angles> {
        let half = self.angles.len();
        let count = batch.tokens().len() * half;
        let (mut cosines, mut sines) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let magnitude = self.magnitude as f32;
        for sequence in batch.sequences() {
            for position in 0..sequence.len() {
                for angle in &self.angles {
                    let (sine, cosine) = (position as f32 * angle).sin_cos();
                    cosines.push(cosine * magnitude);
                    sines.push(sine * magnitude);
                }
            }
        }
        let tensor = |values: Vec<f32>| {
            Tensor::from_vec(values, (batch.tokens().len(), half), &compute.device)
        };
        Ok(Angles {
            cosine: tensor(cosines)?,
            sine: tensor(sines)?,
        })
    }
}

/// Keeps high frequencies, divides low ones, blends those between.
fn llama3(angle: f32, scaling: &Llama3Scaling) -> f32 {
    let context = f64::from(scaling.original_max_position_embeddings);
    let wavelength = TAU as f32 / angle;
    let (low, high) = (scaling.low_freq_factor, scaling.high_freq_factor);
    let factor = scaling.factor as f32;
    if wavelength > (context / low) as f32 {
        angle / factor
    } else if wavelength < (context / high) as f32 {
        angle
    } else {
        let smooth = (context as f32 / wavelength - low as f32) / (high - low) as f32;
        (1.0 - smooth) * angle / factor + smooth * angle
    }
}

/// Divides frequencies that turn less than `beta_slow` times in the original context, keeps those that turn
/// more than `beta_fast` times, blends those between (Peng et al. 2023, as in transformers).
fn yarn(plain: &[f32], theta: f64, head_dim: u32, scaling: &YarnScaling) -> Frequencies {
    let size = f64::from(head_dim);
    let context = f64::from(scaling.original_max_position_embeddings);
    let dimension = |rotations: f64| size * (context / (rotations * TAU)).ln() / (2.0 * theta.ln());
    let low = dimension(scaling.beta_fast.unwrap_or(32.0))
        .floor()
        .max(0.0);
    let high = dimension(scaling.beta_slow.unwrap_or(1.0))
        .ceil()
        .min(size - 1.0);
    let span = if low == high { 0.001 } else { high - low };
    let angles = plain.iter().enumerate().map(|(pair, angle)| {
        let ramp = ((pair as f64 - low) / span).clamp(0.0, 1.0) as f32;
        let divided = angle / scaling.factor as f32;
        divided * ramp + angle * (1.0 - ramp)
    });
    let magnitude = scaling.attention_factor.unwrap_or_else(|| {
        if scaling.factor <= 1.0 {
            1.0
        } else {
            0.1 * scaling.factor.ln() + 1.0
        }
    });
    Frequencies {
        angles: angles.collect(),
        magnitude,
    }
}
