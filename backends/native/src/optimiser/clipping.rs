use candle_core::Tensor;
use rayon::prelude::*;

use super::OptimiserError;
use crate::error::NativeError;
use crate::host;
use crate::parameters::{Gradients, Parameters};

/// Values that are added up at a time, always from the same place on.
const CHUNK: usize = 1 << 16;

/// Scales gradients down together if their norm is above `max_norm`, and returns the norm before that.
///
/// The norm is that of all gradients as one vector, added up in `f64` in an order that does not depend
/// on the number of threads. Above `max_norm` they are multiplied by `max_norm / (norm + 1e-6)`, as
/// `torch.nn.utils.clip_grad_norm_` does; a `max_norm` of 0 only measures. Errors with the first tensor
/// whose gradient is not finite; gradients are then as they were.
pub fn clip_gradients(
    gradients: &mut Gradients,
    parameters: &Parameters,
    max_norm: f64,
) -> Result<f64, NativeError> {
    let mut sum = 0.0;
    for (id, parameter) in parameters.iter() {
        let Some(gradient) = gradients.get(id) else {
            continue;
        };
        let squares = sum_of_squares(gradient)?;
        if !squares.is_finite() {
            let name = parameter.name.clone();
            return Err(OptimiserError::Gradient { name }.into());
        }
        sum += squares;
    }
    let norm = sum.sqrt();
    let coefficient = max_norm / (norm + 1e-6);
    if max_norm > 0.0 && coefficient < 1.0 {
        for (id, _) in parameters.iter() {
            if let Some(gradient) = gradients.get(id) {
                let clipped = gradient.affine(coefficient, 0.0)?;
                gradients.set(id, clipped);
            }
        }
    }
    Ok(norm)
}

fn sum_of_squares(tensor: &Tensor) -> Result<f64, NativeError> {
    host::with_values(tensor, |values| {
        let sums: Vec<f64> = values.par_chunks(CHUNK).map(squares).collect();
        sums.iter().sum()
    })
}

fn squares(values: &[f32]) -> f64 {
    let (eights, rest) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for eight in eights {
        for (sum, &value) in sums.iter_mut().zip(eight) {
            *sum += f64::from(value) * f64::from(value);
        }
    }
    let rest: f64 = rest
        .iter()
        .map(|&value| f64::from(value) * f64::from(value))
        .sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::parameters::Parameter;

    fn two(first: &[f32], second: &[f32]) -> (Parameters, Gradients) {
        let mut parameters = Parameters::default();
        let tensor = |values: &[f32]| Tensor::new(values, &Device::Cpu).unwrap();
        for (name, values) in [("first", first), ("none", &[1.0]), ("second", second)] {
            parameters.add(Parameter {
                name: name.to_owned(),
                value: tensor(values),
                decays: true,
            });
        }
        let mut gradients = Gradients::new(&parameters);
        let all = parameters
            .iter()
            .filter(|(_, parameter)| parameter.name != "none");
        for (id, parameter) in all {
            gradients.set(id, parameter.value.clone());
        }
        (parameters, gradients)
    }

    #[test]
    fn the_norm_is_of_all_gradients_and_only_long_ones_are_clipped() {
        let (parameters, mut gradients) = two(&[3.0, 0.0], &[0.0, 0.0, -4.0]);
        let mut clip = |max_norm| clip_gradients(&mut gradients, &parameters, max_norm).unwrap();
        assert_eq!(clip(0.0), 5.0);
        assert_eq!(clip(5.1), 5.0);
        assert_eq!(clip(1.0), 5.0);
        assert!((clip(0.0) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_gradient_that_is_not_finite_is_named() {
        for value in [f32::NAN, f32::INFINITY] {
            let (parameters, mut gradients) = two(&[3.0, 0.0], &[0.0, value]);
            let error = clip_gradients(&mut gradients, &parameters, 1.0).unwrap_err();
            assert!(error.to_string().contains("`second`"), "{error}");
        }
    }
}
