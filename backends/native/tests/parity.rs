//! Holds logits, losses, gradients and steps against transformers, PEFT and bitsandbytes.
//!
//! The data, the versions and the script that made them lie in `tests/golden/training`. Tolerances are a few
//! times what is found, and far below what a wrong computation shows: the smallest of faults, another
//! epsilon in the norms, moves logits by more than 1e-4.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use candle_core::Tensor;
use shipworthy_models::Adapter;
use shipworthy_native::{Adaptation, Compute, Decoder, LoraOptions};
use support::{
    Reference, accumulate, adapted, batch, by_name, compute, examples, folder, load, load_from,
    most, pass, quantised, relative_error, tensors, values,
};
use test_case::test_case;

/// The most that logits may differ.
const LOGITS: f32 = 3e-5;
/// The most that a mean loss may differ.
const LOSS: f64 = 3e-6;
/// The most that a tensor's gradient may differ, by norms.
const GRADIENT: f64 = 3e-5;
/// The most that one value of it may differ, relative to the value and, where that is more, to a
/// hundredth of the tensor's largest.
const GRADIENT_VALUE: f32 = 2e-3;

/// Loads a base with another `config.json`.
fn load_variant(case: &str, config: &Path) -> Decoder {
    let place = tempfile::tempdir().unwrap();
    let weights = folder().join(case).join("base/model.safetensors");
    std::fs::copy(weights, place.path().join("model.safetensors")).unwrap();
    std::fs::copy(config, place.path().join("config.json")).unwrap();
    load_from(place.path(), &Adaptation::None, &compute())
}

/// Returns the logits of each example, all in one batch.
fn logits(decoder: &Decoder) -> Vec<Tensor> {
    let batch = batch(&examples());
    let logits = decoder.logits(&batch).unwrap();
    let rows = batch
        .sequences()
        .map(|rows| logits.narrow(0, rows.start, rows.len()).unwrap());
    rows.collect()
}

/// Returns every fifth row, which is what an adapter's reference has.
fn fifths(rows: &Tensor) -> Tensor {
    let indices: Vec<u32> = (0..u32::try_from(rows.dims()[0]).unwrap())
        .step_by(5)
        .collect();
    let indices = Tensor::new(indices, rows.device()).unwrap();
    rows.index_select(&indices, 0).unwrap()
}

#[test_case("llama2", "base")]
#[test_case("llama3", "base")]
#[test_case("llama3", "linear"; "llama with linear rope scaling")]
#[test_case("llama3", "yarn"; "llama with yarn")]
#[test_case("mistral", "base")]
#[test_case("qwen2", "base")]
#[test_case("qwen3", "base")]
#[test_case("gemma3", "base")]
#[test_case("llama_full", "base"; "llama with biases")]
#[test_case("gemma3_full", "base"; "a smaller gemma3")]
fn logits_are_those_of_transformers(case: &str, variant: &str) {
    let decoder = match variant {
        "base" => load(case, &Adaptation::None, &compute()),
        _ => load_variant(
            case,
            &folder().join(format!("{case}/variants/{variant}.json")),
        ),
    };
    assert!(decoder.parameters().is_empty());
    let found = logits(&decoder);
    let reference = tensors(&folder().join(case).join("logits.safetensors"));
    for (idx, found) in found.iter().take(2).enumerate() {
        let expected = &reference[&format!("{variant}.{idx}")];
        let most = most(found, expected);
        assert!(most <= LOGITS, "sequence {idx}: {most}");
    }

    // The words of older files say the same.
    let old = load_variant(
        case,
        &folder().join(format!("{case}/variants/{variant}_old.json")),
    );
    for (old, found) in logits(&old).iter().zip(&found) {
        assert_eq!(values(old), values(found));
    }
}

/// Fails unless loss, logits, gradients, names and decay are the reference's.
fn assert_computes(case: &str, adapter: &str, compute: &Compute, kind: &str) {
    let reference = Reference::read(case, adapter);
    let decoder = adapted(case, adapter, compute);

    let parameters = decoder.parameters();
    let decays = parameters
        .iter()
        .map(|(_, parameter)| (parameter.name.clone(), parameter.decays));
    assert_eq!(decays.collect::<BTreeMap<_, _>>(), reference.decays);

    let expected = reference.named(&format!("{kind}logits."));
    assert_eq!(expected.len(), examples().len());
    for (idx, found) in logits(&decoder).iter().enumerate() {
        let most = most(&fifths(found), expected[idx.to_string().as_str()]);
        assert!(most <= LOGITS, "logits of sequence {idx}: {most}");
    }

    let expected = if kind.is_empty() {
        Some(reference.loss)
    } else {
        reference.nf4_loss
    };
    let expected = expected.unwrap();
    let examples = examples();
    let (loss, gradients) = accumulate(&decoder, &[batch(&examples)], &pass(&examples));
    assert!(
        (loss - expected).abs() <= LOSS,
        "loss {loss}, expected {expected}"
    );
    let evaluated = decoder.evaluate(&batch(&examples)).unwrap();
    let evaluated = evaluated.nll_sum() / evaluated.labelled() as f64;
    assert!(
        (evaluated - expected).abs() <= LOSS,
        "loss {evaluated}, expected {expected}"
    );

    let found = by_name(&decoder, &gradients);
    let expected = reference.named(&format!("{kind}gradient."));
    let names: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(names, expected.keys().copied().collect());
    for (name, found) in &found {
        let expected = expected[name.as_str()];
        let error = relative_error(found, expected);
        assert!(error <= GRADIENT, "{name}: {error}");
        let expected = values(expected);
        let largest = expected
            .iter()
            .fold(0.0_f32, |most, value| most.max(value.abs()));
        for (idx, (found, expected)) in values(found).iter().zip(&expected).enumerate() {
            let unit = expected.abs().max(largest / 100.0);
            let error = (found - expected).abs() / unit;
            assert!(
                error <= GRADIENT_VALUE,
                "{name} at {idx}: {found}, expected {expected}"
            );
        }
    }
}

#[test_case("llama2", "lora")]
#[test_case("llama2", "rslora"; "rsLoRA, and a head that is saved")]
#[test_case("llama3", "lora")]
#[test_case("mistral", "lora")]
#[test_case("qwen2", "lora")]
#[test_case("qwen2", "bias_all"; "all biases")]
#[test_case("qwen2", "bias_lora_only"; "biases of adapted layers")]
#[test_case("qwen2", "embedding"; "an embedding that is saved, apart from its head")]
#[test_case("qwen3", "lora")]
#[test_case("gemma3", "lora")]
#[test_case("llama_full", "full")]
#[test_case("gemma3_full", "full")]
fn losses_and_gradients_are_those_of_peft(case: &str, adapter: &str) {
    assert_computes(case, adapter, &compute(), "");
}

#[test_case("llama2")]
#[test_case("gemma3")]
fn losses_and_gradients_upon_nf4_are_those_of_bitsandbytes(case: &str) {
    assert_computes(case, "lora", &quantised(), "nf4_");
}

#[test_case("llama2", "lora")]
#[test_case("llama2", "rslora")]
#[test_case("qwen2", "bias_all")]
#[test_case("qwen2", "bias_lora_only")]
#[test_case("qwen2", "embedding")]
fn an_adapter_alone_says_how_it_is_loaded(case: &str, adapter: &str) {
    let directory = folder().join(case).join(adapter);
    let opened = Adapter::open(&directory).unwrap();
    let options = LoraOptions::of_adapter(&opened).unwrap();
    let mut decoder = load(case, &Adaptation::Lora(options), &compute());
    decoder.load_adapter(&opened).unwrap();
    let expected = logits(&adapted(case, adapter, &compute()));
    for (found, expected) in logits(&decoder).iter().zip(&expected) {
        assert_eq!(values(found), values(expected));
    }
}
