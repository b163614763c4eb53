use std::collections::BTreeSet;

use candle_core::{DType, Shape, Tensor, WithDType};

use super::OptimiserError;
use super::kernel::Factors;
use super::moments::{InBytes, Moments};
use crate::error::NativeError;
use crate::host;
use crate::named_tensors::StoredTensor;
use crate::parameters::{Gradients, Parameters};

/// Which optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptimiserKind {
    /// Its two running means in 32 bits: PyTorch's.
    AdamW,
    /// In 8, with a scale for 256 values, for parameters of at least 4,096: bitsandbytes'.
    AdamW8bit,
}

/// `AdamW`: Adam with bias correction, and weight decay apart from the gradient.
///
/// Loshchilov and Hutter 2019, arXiv:1711.05101. With t the steps of a parameter, all as
/// `torch.optim.AdamW` has it on a CPU:
///
/// ```text
/// m ← β₁ m + (1 − β₁) g          v ← β₂ v + (1 − β₂) g²
/// w ← w (1 − η λ) − η / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
/// ```
///
/// With states of 8 bits: Dettmers et al. 2022, arXiv:2110.02861, with the bytes of bitsandbytes on a CPU.
#[derive(Clone, Debug)]
pub struct Optimiser {
    kind: OptimiserKind,
    betas: (f64, f64),
    eps: f64,
    weight_decay: f64,
    states: Vec<State>,
}

/// What is kept for a parameter.
#[derive(Clone, Debug)]
struct State {
    name: String,
    shape: Shape,
    /// Updates so far.
    step: u64,
    moments: Moments,
}

impl Optimiser {
    /// Begins anew.
    ///
    /// `betas`: within 0 and below 1; `weight_decay`: for parameters that decay.
    pub fn new(
        kind: OptimiserKind,
        betas: (f64, f64),
        eps: f64,
        weight_decay: f64,
        parameters: &Parameters,
    ) -> Self {
        let states = parameters.iter().map(|(_, parameter)| State {
            name: parameter.name.clone(),
            shape: parameter.value.shape().clone(),
            step: 0,
            moments: Moments::new(
                parameter.value.elem_count(),
                kind == OptimiserKind::AdamW8bit,
            ),
        });
        Self {
            kind,
            betas,
            eps,
            weight_decay,
            states: states.collect(),
        }
    }

    /// Returns which it is.
    pub fn kind(&self) -> OptimiserKind {
        self.kind
    }

    /// Updates all parameters that got a gradient.
    ///
    /// A parameter gets a new tensor: who kept the old one keeps the old values. `parameters`: those that
    /// it was made for. Values go through the host's memory, one parameter at a time.
    pub fn step(
        &mut self,
        parameters: &mut Parameters,
        gradients: &Gradients,
        learning_rate: f64,
    ) -> Result<(), NativeError> {
        debug_assert_eq!(self.states.len(), parameters.len());
        let ids: Vec<_> = parameters
            .iter()
            .map(|(id, parameter)| (id, parameter.decays))
            .collect();
        for ((id, decays), state) in ids.into_iter().zip(&mut self.states) {
            let Some(gradient) = gradients.get(id) else {
                continue;
            };
            let weight_decay = if decays { self.weight_decay } else { 0.0 };
            let step = state.step + 1;
            let factors = Factors::new(self.betas, self.eps, weight_decay, learning_rate, step);
            let value = parameters.value(id);
            let mut values = value.flatten_all()?.to_vec1::<f32>()?;
            host::with_values(gradient, |gradient| {
                state.moments.update(&factors, &mut values, gradient);
            })?;
            state.step = step;
            let updated = Tensor::from_vec(values, value.shape(), value.device())?;
            parameters.set(id, updated);
        }
        Ok(())
    }

    /// Returns how many bytes of memory the states take.
    pub fn byte_count(&self) -> usize {
        self.states
            .iter()
            .map(|state| state.moments.byte_count())
            .sum()
    }

    /// Returns all there is to keep, by name, in the order of the parameters.
    ///
    /// Of parameter `NAME`: `NAME.step`, `NAME.exp_avg` and `NAME.exp_avg_sq`, and where these are bytes,
    /// their scales `NAME.exp_avg.absmax` and `NAME.exp_avg_sq.absmax`.
    pub fn state_tensors(&self) -> Vec<(String, StoredTensor<'_>)> {
        let mut tensors = Vec::new();
        for state in &self.states {
            let State { name, shape, .. } = state;
            let step = i64::try_from(state.step).expect("steps are counted one by one");
            tensors.push((format!("{name}.step"), StoredTensor::I64(step)));
            match &state.moments {
                Moments::Full {
                    exp_avg,
                    exp_avg_sq,
                } => {
                    for (what, values) in [("exp_avg", exp_avg), ("exp_avg_sq", exp_avg_sq)] {
                        let tensor = StoredTensor::F32(values, shape.dims().to_vec());
                        tensors.push((format!("{name}.{what}"), tensor));
                    }
                }
                Moments::InBytes {
                    exp_avg,
                    exp_avg_sq,
                } => {
                    for (what, values) in [("exp_avg", exp_avg), ("exp_avg_sq", exp_avg_sq)] {
                        let tensor = StoredTensor::U8(&values.bytes, shape.dims().to_vec());
                        tensors.push((format!("{name}.{what}"), tensor));
                        let scales = &values.absmax;
                        let tensor = StoredTensor::F32(scales, vec![scales.len()]);
                        tensors.push((format!("{name}.{what}.absmax"), tensor));
                    }
                }
            }
        }
        tensors
    }

    /// Takes up what [`Self::state_tensors`] gave: from here on as if there had been no break.
    ///
    /// `names`: what there is to read; `read`: gives the tensor of a name, which is dropped before the next
    /// is asked for. Errors if `read` does, or if a tensor is missing, left over, of another shape or type,
    /// or not finite, and names it; nothing has then changed.
    pub fn restore<'a, E: From<NativeError>>(
        &mut self,
        names: impl IntoIterator<Item = &'a str>,
        read: impl FnMut(&str) -> Result<Tensor, E>,
    ) -> Result<(), E> {
        let mut saved = Saved {
            names: names.into_iter().collect(),
            read,
        };
        let mut states = Vec::with_capacity(self.states.len());
        for state in &self.states {
            states.push(saved.state(state)?);
        }
        if let Some(name) = saved.names.first() {
            let name = (*name).to_owned();
            return Err(NativeError::from(OptimiserError::Unexpected { name }).into());
        }
        self.states = states;
        Ok(())
    }
}

/// A saved state while it is read.
struct Saved<'a, R> {
    /// Tensors that nothing asked for yet.
    names: BTreeSet<&'a str>,
    read: R,
}

impl<E: From<NativeError>, R: FnMut(&str) -> Result<Tensor, E>> Saved<'_, R> {
    /// Reads what belongs to a parameter; `like` is its state before.
    fn state(&mut self, like: &State) -> Result<State, E> {
        let State { name, shape, .. } = like;
        let step_name = format!("{name}.step");
        let step = self
            .take(&step_name, DType::I64, &Shape::from(()))?
            .to_scalar::<i64>()
            .map_err(NativeError::from)?;
        let Ok(step) = u64::try_from(step) else {
            return Err(NativeError::from(OptimiserError::Value {
                name: step_name,
                found: step.to_string(),
                expected: "a count of steps",
            })
            .into());
        };
        let moments = match &like.moments {
            Moments::Full { .. } => Moments::Full {
                exp_avg: self.values(&format!("{name}.exp_avg"), shape, false)?,
                exp_avg_sq: self.values(&format!("{name}.exp_avg_sq"), shape, true)?,
            },
            Moments::InBytes { exp_avg, .. } => {
                let scales = Shape::from(exp_avg.absmax.len());
                let mut read = |what: &str| -> Result<InBytes, E> {
                    let name = format!("{name}.{what}");
                    let bytes = self.take(&name, DType::U8, shape)?;
                    Ok(InBytes {
                        bytes: flat(&bytes)?,
                        absmax: self.values(&format!("{name}.absmax"), &scales, true)?,
                    })
                };
                Moments::InBytes {
                    exp_avg: read("exp_avg")?,
                    exp_avg_sq: read("exp_avg_sq")?,
                }
            }
        };
        Ok(State {
            name: name.clone(),
            shape: shape.clone(),
            step,
            moments,
        })
    }

    /// Reads finite numbers, none of them negative if they are squares or magnitudes.
    fn values(&mut self, name: &str, shape: &Shape, not_negative: bool) -> Result<Vec<f32>, E> {
        let values: Vec<f32> = flat(&self.take(name, DType::F32, shape)?)?;
        let is_wrong = |value: f32| !value.is_finite() || not_negative && value < 0.0;
        match values.iter().find(|&&value| is_wrong(value)) {
            Some(value) => Err(NativeError::from(OptimiserError::Value {
                name: name.to_owned(),
                found: value.to_string(),
                expected: if not_negative {
                    "finite numbers that are not negative"
                } else {
                    "finite numbers"
                },
            })
            .into()),
            None => Ok(values),
        }
    }

    fn take(&mut self, name: &str, dtype: DType, shape: &Shape) -> Result<Tensor, E> {
        if !self.names.remove(name) {
            let name = name.to_owned();
            return Err(NativeError::from(OptimiserError::Missing { name }).into());
        }
        let tensor = (self.read)(name)?;
        if tensor.dtype() != dtype || tensor.shape() != shape {
            let describe =
                |dtype: DType, shape: &Shape| format!("{} {:?}", dtype.as_str(), shape.dims());
            return Err(NativeError::from(OptimiserError::Mismatch {
                name: name.to_owned(),
                expected: describe(dtype, shape),
                found: describe(tensor.dtype(), tensor.shape()),
            })
            .into());
        }
        Ok(tensor)
    }
}

/// Returns a tensor's values.
fn flat<T: WithDType>(tensor: &Tensor) -> Result<Vec<T>, NativeError> {
    Ok(tensor.flatten_all()?.to_vec1()?)
}
