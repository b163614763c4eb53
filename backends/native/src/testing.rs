//! What tests of operations share: random tensors, and gradients by finite differences.

use candle_core::{Device, Shape, Tensor};

/// Returns values between −1 and 1, the same for the same seed.
pub(crate) fn random(shape: impl Into<Shape>, seed: u64) -> Tensor {
    let shape = shape.into();
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    let values: Vec<f32> = (0..shape.elem_count())
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            ((state >> 40) as f32) / ((1_u64 << 23) as f32) - 1.0
        })
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

pub(crate) fn list(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Fails if any two values differ by more than `most`.
pub(crate) fn assert_close(found: &Tensor, expected: &Tensor, most: f32) {
    assert_eq!(found.shape(), expected.shape());
    for (idx, (found, expected)) in list(found).iter().zip(list(expected)).enumerate() {
        assert!(
            (found - expected).abs() <= most,
            "at {idx}: {found}, expected {expected}"
        );
    }
}

/// Fails if `gradient` is not the slope of Σ upstream · function(at), by central differences.
pub(crate) fn assert_gradient(
    at: &Tensor,
    gradient: &Tensor,
    upstream: &Tensor,
    function: impl Fn(&Tensor) -> Tensor,
) {
    let step = 1e-2_f32;
    let values = list(at);
    let slopes = list(gradient);
    let upstream: Vec<f64> = list(upstream).into_iter().map(f64::from).collect();
    let largest = slopes
        .iter()
        .fold(0.0_f32, |most, slope| most.max(slope.abs()));
    assert!(largest > 1e-4, "a gradient of nothing is not tested");
    let stride = (values.len() / 50).max(1);
    for idx in (0..values.len()).step_by(stride) {
        let sum = |change: f32| -> f64 {
            let mut values = values.clone();
            values[idx] += change;
            let at = Tensor::from_vec(values, at.shape(), &Device::Cpu).unwrap();
            let output = list(&function(&at));
            output
                .iter()
                .zip(&upstream)
                .map(|(&value, up)| f64::from(value) * up)
                .sum()
        };
        let slope = (sum(step) - sum(-step)) / f64::from(2.0 * step);
        let error = (slope - f64::from(slopes[idx])).abs();
        assert!(
            error <= 4e-3 * f64::from(largest),
            "at {idx}: {}, slope {slope}",
            slopes[idx]
        );
    }
}
