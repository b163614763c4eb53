//! Holds the optimiser against PyTorch's `AdamW` and bitsandbytes' `AdamW8bit`.
//!
//! What they made, the versions and the script that ran them lie in `tests/golden/adamw`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor, safetensors};
use shipworthy_native::{
    Gradients, NativeError, Optimiser, OptimiserKind, Parameter, ParameterId, Parameters,
    StoredTensor, clip_gradients,
};
use test_case::test_case;

const SHAPES: [(&[usize], bool); 3] = [(&[3, 5], true), (&[67], false), (&[70, 64], true)];
const STEPS: u32 = 20;

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/adamw")
        .join(file)
}

/// Returns the values that the script makes.
fn made(shape: &[usize], seed: u64, scale: f32) -> Tensor {
    let count: usize = shape.iter().product();
    let values = (0..count as u64).map(|idx| {
        let mut mixed = idx + (seed << 40);
        for _ in 0..2 {
            mixed = mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            mixed ^= mixed >> 32;
        }
        let parts = [0, 16, 32, 48].map(|shift| (mixed >> shift & 0xFFFF) as f32);
        let plain = (parts.iter().sum::<f32>() - 131_070.0) / 1_048_576.0;
        (plain + plain * plain * plain) * scale
    });
    Tensor::from_vec(values.collect(), shape, &Device::Cpu).unwrap()
}

fn parameters() -> (Parameters, Vec<ParameterId>) {
    let mut parameters = Parameters::default();
    let ids = (0..).zip(SHAPES).map(|(idx, (shape, decays))| {
        parameters.add(Parameter {
            name: idx.to_string(),
            value: made(shape, idx, 1.0),
            decays,
        })
    });
    let ids = ids.collect();
    (parameters, ids)
}

fn optimiser(kind: OptimiserKind, parameters: &Parameters) -> Optimiser {
    Optimiser::new(kind, (0.9, 0.999), 1e-8, 0.1, parameters)
}

/// Does a step of the script, from 0, and returns the norm.
fn step(
    optimiser: &mut Optimiser,
    parameters: &mut Parameters,
    ids: &[ParameterId],
    step: u32,
) -> f64 {
    let mut gradients = Gradients::new(parameters);
    for ((idx, (shape, _)), &id) in (0..).zip(SHAPES).zip(ids) {
        let scale = [0.125, 1.0, 8.0, 64.0][step as usize % 4];
        let seed = 100 * (u64::from(step) + 1) + idx;
        gradients.set(id, made(shape, seed, scale));
    }
    let norm = clip_gradients(&mut gradients, parameters, 25.0).unwrap();
    let learning_rate = 1e-3 * f64::from(step + 1) / f64::from(STEPS);
    optimiser
        .step(parameters, &gradients, learning_rate)
        .unwrap();
    norm
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor
        .to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

/// Asserts that all values are as near as `tolerance` of the largest of them.
fn assert_near(what: &str, expected: &Tensor, found: &Tensor, tolerance: f64) {
    assert_eq!(expected.shape(), found.shape(), "{what}");
    let (expected, found) = (values(expected), values(found));
    let largest = expected
        .iter()
        .fold(0.0, |largest: f64, value| largest.max(value.abs()));
    for (expected, found) in expected.iter().zip(&found) {
        let difference = (expected - found).abs();
        assert!(
            difference <= tolerance * largest,
            "{what}: {expected}, found {found}"
        );
    }
}

#[test_case(OptimiserKind::AdamW, "adamw.safetensors")]
#[test_case(OptimiserKind::AdamW8bit, "adamw8bit.safetensors")]
fn twenty_steps_are_those_of_the_reference(kind: OptimiserKind, file: &str) {
    let expected = safetensors::load(golden(file), &Device::Cpu).unwrap();
    let norms = std::fs::read(golden("norms.json")).unwrap();
    let norms: Vec<f64> = serde_json::from_slice(&norms).unwrap();
    let (mut parameters, ids) = parameters();
    let mut optimiser = optimiser(kind, &parameters);
    for (idx, norm) in (0..STEPS).zip(norms) {
        let found = step(&mut optimiser, &mut parameters, &ids, idx);
        assert!((found - norm).abs() <= 1e-6 * norm, "{norm}, found {found}");
        for (parameter, &id) in ids.iter().enumerate() {
            let name = format!("{parameter}.after_{}", idx + 1);
            if let Some(expected) = expected.get(&name) {
                assert_near(&name, expected, parameters.value(id), 1e-6);
            }
        }
    }
    let mut compared = 0;
    for (name, found) in saved_state(&optimiser) {
        let Some(expected) = expected.get(&name) else {
            assert_eq!(found.to_scalar::<i64>().unwrap(), 20, "{name}");
            continue;
        };
        compared += 1;
        assert_eq!(found.dtype(), expected.dtype(), "{name}");
        assert_near(&name, expected, &found, 1e-6);
    }
    let in_bytes = kind == OptimiserKind::AdamW8bit;
    assert_eq!(compared, if in_bytes { 8 } else { 6 });
    let bytes = 8 * (3 * 5 + 67)
        + if in_bytes {
            2 * (4480 + 4 * 18)
        } else {
            8 * 4480
        };
    assert_eq!(optimiser.byte_count(), bytes);
}

fn saved_state(optimiser: &Optimiser) -> HashMap<String, Tensor> {
    let cpu = &Device::Cpu;
    let tensor = |stored: StoredTensor<'_>| match stored {
        StoredTensor::Tensor(tensor) => Ok(tensor.clone()),
        StoredTensor::F32(values, shape) => Tensor::from_slice(values, shape, cpu),
        StoredTensor::U8(values, shape) => Tensor::from_slice(values, shape, cpu),
        StoredTensor::I64(value) => Tensor::new(value, cpu),
    };
    let state = optimiser.state_tensors().into_iter();
    state
        .map(|(name, stored)| (name, tensor(stored).unwrap()))
        .collect()
}

fn restore(
    optimiser: &mut Optimiser,
    tensors: &HashMap<String, Tensor>,
) -> Result<(), NativeError> {
    let names = tensors.keys().map(String::as_str);
    optimiser.restore(names, |name| Ok::<_, NativeError>(tensors[name].clone()))
}

#[test_case(OptimiserKind::AdamW)]
#[test_case(OptimiserKind::AdamW8bit)]
fn what_is_restored_goes_on_bit_for_bit(kind: OptimiserKind) {
    let (mut parameters, ids) = parameters();
    let mut first = optimiser(kind, &parameters);
    for idx in 0..7 {
        step(&mut first, &mut parameters, &ids, idx);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("optimizer.safetensors");
    let tensors = saved_state(&first);
    safetensors::save(&tensors, &file).unwrap();

    let mut restored_parameters = parameters.clone();
    let mut restored = optimiser(kind, &restored_parameters);
    let read = safetensors::load(&file, &Device::Cpu).unwrap();
    restore(&mut restored, &read).unwrap();
    for idx in 7..12 {
        step(&mut first, &mut parameters, &ids, idx);
        step(&mut restored, &mut restored_parameters, &ids, idx);
    }
    for &id in &ids {
        let bits = |parameters: &Parameters| values(parameters.value(id));
        assert_eq!(bits(&parameters), bits(&restored_parameters));
    }
    let states = |optimiser: &Optimiser| {
        let tensors = saved_state(optimiser).into_iter();
        tensors
            .map(|(name, tensor)| (name, values(&tensor)))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(states(&first), states(&restored));
}

#[test]
fn what_does_not_fit_is_named_and_changes_nothing() {
    let (mut parameters, ids) = parameters();
    let mut optimiser = optimiser(OptimiserKind::AdamW, &parameters);
    step(&mut optimiser, &mut parameters, &ids, 0);
    let saved = saved_state(&optimiser);
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let negative = Tensor::new(&[-1.0f32; 67], &Device::Cpu).unwrap();
    let not_a_number = Tensor::new(&[f32::NAN; 67], &Device::Cpu).unwrap();
    let step = Tensor::new(-3i64, &Device::Cpu).unwrap();
    for (name, tensor, says) in [
        ("1.exp_avg", None, "has no `1.exp_avg`"),
        ("3.exp_avg", Some(zeros(&[1])), "has `3.exp_avg`"),
        (
            "0.exp_avg",
            Some(zeros(&[5, 3])),
            "`0.exp_avg` of the saved optimiser state is f32 [5, 3], expected f32 [3, 5]",
        ),
        (
            "1.exp_avg_sq",
            Some(negative),
            "`1.exp_avg_sq` of the saved optimiser state has -1",
        ),
        (
            "1.exp_avg",
            Some(not_a_number),
            "`1.exp_avg` of the saved optimiser state has NaN",
        ),
        (
            "2.step",
            Some(step),
            "`2.step` of the saved optimiser state has -3",
        ),
    ] {
        let mut damaged = saved.clone();
        match tensor {
            Some(tensor) => damaged.insert(name.to_owned(), tensor),
            None => damaged.remove(name),
        };
        let error = restore(&mut optimiser, &damaged).unwrap_err();
        assert!(matches!(error, NativeError::Optimiser(_)));
        assert!(error.to_string().contains(says), "{error}");
    }
    for (name, tensor) in saved_state(&optimiser) {
        assert_eq!(values(&tensor), values(&saved[&name]), "{name}");
    }
}

#[test]
fn a_parameter_without_a_gradient_stays_as_it_was() {
    let (mut parameters, ids) = parameters();
    let mut optimiser = optimiser(OptimiserKind::AdamW, &parameters);
    let before = parameters.clone();
    let mut gradients = Gradients::new(&parameters);
    gradients.set(ids[1], made(&[67], 3, 1.0));
    optimiser.step(&mut parameters, &gradients, 0.1).unwrap();
    let same = ids
        .iter()
        .map(|&id| values(before.value(id)) == values(parameters.value(id)));
    assert_eq!(same.collect::<Vec<_>>(), [true, false, true]);
}
