//! Rotary position embeddings: what `config.json` says of them, in its older and its present form.

use super::fields::{FieldError, FieldProblem, Fields};
use crate::model_config::Family;

/// What is taken for granted where no base is given, as in transformers.
const DEFAULT_THETA: f64 = 10_000.0;
/// The same for the layers of Gemma 3 that see everything.
const GEMMA_GLOBAL_THETA: f64 = 1_000_000.0;

/// How positions are turned into angles.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// The base θ of the frequencies θ^(−2i/d).
    pub theta: f64,
    /// How frequencies are changed for contexts longer than those of pre-training.
    pub scaling: RopeScaling,
    /// The base in layers with a sliding window, where they have one of their own (Gemma 3); nothing is
    /// scaled there.
    pub local_theta: Option<f64>,
}

/// How frequencies are changed for longer contexts.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// Every frequency is divided by the factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// As in Llama 3.1 and later.
    Llama3(Llama3Scaling),
    /// As Peng et al. 2023 have it (`YaRN`).
    Yarn(YarnScaling),
}

/// Low frequencies are divided by a factor, high ones are kept, those between are blended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Llama3Scaling {
    /// The factor.
    pub factor: f64,
    /// Wavelengths above the original context divided by this are low frequencies.
    pub low_freq_factor: f64,
    /// Wavelengths below the original context divided by this are high frequencies.
    pub high_freq_factor: f64,
    /// Tokens of the context in pre-training.
    pub original_max_position_embeddings: u32,
}

/// `YaRN`'s parameters; those not given are for the runtime to choose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct YarnScaling {
    /// The factor by which the context grows.
    pub factor: f64,
    /// Tokens of the context in pre-training.
    pub original_max_position_embeddings: u32,
    /// How much of the change is an extrapolation.
    pub extrapolation_factor: Option<f64>,
    /// By what attention is multiplied.
    pub attention_factor: Option<f64>,
    /// Rotations above which frequencies are kept.
    pub beta_fast: Option<f64>,
    /// Rotations below which frequencies are divided.
    pub beta_slow: Option<f64>,
}

impl Rope {
    /// Reads either form; `context` is the length of the model's context.
    pub(super) fn read(
        family: Family,
        config: Fields<'_>,
        context: u32,
    ) -> Result<Self, FieldError> {
        match family {
            Family::Gemma3 => Self::read_layered(config, context),
            _ => Self::read_flat(config, context),
        }
    }

    fn read_flat(config: Fields<'_>, context: u32) -> Result<Self, FieldError> {
        // The older form wins where both are there and it says anything, as in transformers.
        let older = config.object("rope_scaling")?.filter(|map| !map.is_empty());
        let newer = config.object("rope_parameters")?;
        let outer_theta = config.positive("rope_theta")?;
        let (name, map) = match (older, newer) {
            (Some(map), _) => ("rope_scaling.", map),
            (None, Some(map)) => ("rope_parameters.", map),
            (None, None) => {
                return Ok(Self {
                    theta: outer_theta.unwrap_or(DEFAULT_THETA),
                    scaling: RopeScaling::None,
                    local_theta: None,
                });
            }
        };
        let mut rope = config.within(name, map);
        let nested = rope.object("full_attention")?;
        let nested_name = format!("{name}full_attention.");
        if let Some(nested) = nested {
            rope = rope.within(&nested_name, nested);
        }
        let theta = rope.positive("rope_theta")?.or(outer_theta);
        Ok(Self {
            theta: theta.unwrap_or(DEFAULT_THETA),
            scaling: scaling(rope, config, context)?,
            local_theta: None,
        })
    }

    /// Reads what differs between layers with a window and layers without.
    fn read_layered(config: Fields<'_>, context: u32) -> Result<Self, FieldError> {
        let older = config.object("rope_scaling")?;
        let newer = config.object("rope_parameters")?;
        let layered = newer.map(|map| config.within("rope_parameters.", map));
        let object = |name| layered.map_or(Ok(None), |layered| layered.object(name));
        let global = object("full_attention")?;
        let local = object("sliding_attention")?;
        let global = global.map(|map| config.within("rope_parameters.full_attention.", map));
        let local = local.map(|map| config.within("rope_parameters.sliding_attention.", map));
        let theta_of = |fields: Option<Fields<'_>>, outer: &str, usual: f64| {
            let inner = fields.map_or(Ok(None), |fields| fields.positive("rope_theta"))?;
            let theta = inner.map_or_else(|| config.positive(outer), |theta| Ok(Some(theta)))?;
            Ok::<f64, FieldError>(theta.unwrap_or(usual))
        };
        let scaled = older.map(|map| config.within("rope_scaling.", map));
        let scaled = scaled.or(global);
        let scaling = scaled.map(|fields| scaling(fields, config, context));
        Ok(Self {
            theta: theta_of(global, "rope_theta", GEMMA_GLOBAL_THETA)?,
            scaling: scaling.transpose()?.unwrap_or(RopeScaling::None),
            local_theta: Some(theta_of(local, "rope_local_base_freq", DEFAULT_THETA)?),
        })
    }

    /// Returns what llama.cpp divides each frequency by, `head_dim / 2` of them: the tensor
    /// `rope_freqs.weight`, which models with the scaling of Llama 3 have.
    ///
    /// Rounded after every step to an `f32`, as `PyTorch` does it for the converter.
    pub fn llama3_factors(&self, head_dim: u32) -> Option<Vec<f32>> {
        match &self.scaling {
            RopeScaling::Llama3(scaling) => Some(scaling.factors(self.theta, head_dim)),
            _ => None,
        }
    }
}

/// Reads the kind and what belongs to it.
fn scaling(rope: Fields<'_>, config: Fields<'_>, context: u32) -> Result<RopeScaling, FieldError> {
    let newer = rope.text("rope_type")?;
    let older = rope.text("type")?;
    let name = if newer.is_some() { "rope_type" } else { "type" };
    let kind = newer.or(older).unwrap_or("default");
    let factor = || {
        let factor = rope.positive("factor")?;
        factor.ok_or_else(|| rope.missing("factor"))
    };
    // One beside the scaling goes before one in it.
    let original = || {
        let name = "original_max_position_embeddings";
        let outer = config.count(name, u32::MAX)?;
        let inner = rope.count(name, u32::MAX)?;
        Ok(outer.or(inner).unwrap_or(context))
    };
    match kind.to_ascii_lowercase().as_str() {
        "default" => Ok(RopeScaling::None),
        "linear" => Ok(RopeScaling::Linear { factor: factor()? }),
        "llama3" => {
            let low = rope.positive("low_freq_factor")?.unwrap_or(1.0);
            let high = rope.positive("high_freq_factor")?.unwrap_or(4.0);
            if low >= high {
                let problem = FieldProblem::Range {
                    expected: format!("a number above `low_freq_factor`, which is {low}"),
                    found: high.to_string(),
                };
                return Err(rope.error("high_freq_factor", problem));
            }
            Ok(RopeScaling::Llama3(Llama3Scaling {
                factor: factor()?,
                low_freq_factor: low,
                high_freq_factor: high,
                original_max_position_embeddings: original()?,
            }))
        }
        "yarn" => {
            let attention = rope.number("attention_factor")?;
            Ok(RopeScaling::Yarn(YarnScaling {
                factor: factor()?,
                original_max_position_embeddings: original()?,
                extrapolation_factor: rope.number("extrapolation_factor")?,
                attention_factor: attention
                    .map_or_else(|| rope.number("attn_factor"), |f| Ok(Some(f)))?,
                beta_fast: rope.number("beta_fast")?,
                beta_slow: rope.number("beta_slow")?,
            }))
        }
        _ => {
            let problem = FieldProblem::Unsupported {
                found: kind.to_owned(),
                supported: "default, linear, llama3, yarn",
            };
            Err(rope.error(name, problem))
        }
    }
}

impl Llama3Scaling {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "PyTorch computes in 32 bits"
    )]
    fn factors(&self, theta: f64, head_dim: u32) -> Vec<f32> {
        let theta = f64::from(theta as f32);
        let context = f64::from(self.original_max_position_embeddings);
        let (low, high) = (self.low_freq_factor, self.high_freq_factor);
        let longest = (context / low) as f32;
        let shortest = (context / high) as f32;
        let factor = self.factor as f32;
        let dimensions = (0..head_dim).step_by(2);
        let factors = dimensions.map(|dimension| {
            let exponent = dimension as f32 / head_dim as f32;
            let frequency = 1.0 / libm::pow(theta, exponent.into()) as f32;
            // A number over a tensor is the number times the reciprocal there.
            let wavelength = frequency.recip() * std::f32::consts::TAU;
            if wavelength < shortest {
                1.0
            } else if wavelength > longest {
                factor
            } else {
                let rotations = wavelength.recip() * context as f32;
                let smooth = (rotations - low as f32) / (high - low) as f32;
                ((1.0 - smooth) / factor + smooth).recip()
            }
        });
        factors.collect()
    }
}
