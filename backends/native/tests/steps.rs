//! Holds ten steps of training, and what they leave on the disk, against transformers' Trainer and PEFT.
//!
//! The data, the versions and the script that made them lie in `tests/golden/training`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod support;
#[path = "support/training.rs"]
mod training;

use std::collections::BTreeSet;

use shipworthy_models::Adapter;
use shipworthy_native::{Adaptation, Decoder};
use support::{
    Reference, adapted, batch, compute, examples, load, load_from, lora_options, most, quantised,
};
use test_case::test_case;
use training::ten_steps;

/// The most that a step's loss may differ.
const LOSS: f64 = 1e-4;
/// The most that the norm of its gradient may differ, relative to it.
const GRAD_NORM: f64 = 1e-4;

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
fn ten_steps_are_those_of_the_trainer(case: &str, adapter: &str) {
    let output = tempfile::tempdir().unwrap();
    let mut decoder = adapted(case, adapter, &compute());
    let found = ten_steps(&mut decoder, case, adapter, output.path());
    let expected = Reference::read(case, adapter).log;
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        let error = (found.loss - expected.loss).abs();
        assert!(
            error <= LOSS,
            "step {}: {}, expected {}",
            found.step,
            found.loss,
            expected.loss
        );
        let error = (found.grad_norm - expected.grad_norm).abs() / expected.grad_norm;
        assert!(
            error <= GRAD_NORM,
            "step {}: {}, expected {}",
            found.step,
            found.grad_norm,
            expected.grad_norm
        );
        let error = (found.learning_rate - expected.learning_rate).abs();
        assert!(
            error <= 1e-12,
            "step {}: {}",
            found.step,
            found.learning_rate
        );
    }

    // What was written computes what was trained.
    let again = reopened(case, adapter, output.path());
    let batch = batch(&examples());
    let (trained, again) = (
        decoder.logits(&batch).unwrap(),
        again.logits(&batch).unwrap(),
    );
    // A checkpoint is written in the base's 16 bits.
    let tolerance = if adapter == "full" { 0.1 } else { 0.0 };
    let most = most(&again, &trained);
    assert!(most <= tolerance, "{most}");
}

/// Loads what training wrote.
fn reopened(case: &str, adapter: &str, output: &std::path::Path) -> Decoder {
    if adapter == "full" {
        return load_from(output, &Adaptation::None, &compute());
    }
    let mut decoder = load(
        case,
        &Adaptation::Lora(lora_options(case, adapter)),
        &compute(),
    );
    let trained = Adapter::open(output).unwrap();
    decoder.load_adapter(&trained).unwrap();
    // The same names as PEFT's.
    let theirs = Adapter::open(&support::folder().join(case).join(adapter)).unwrap();
    let names = |adapter: &Adapter| -> BTreeSet<String> {
        adapter
            .tensors()
            .map(|tensor| tensor.name().to_owned())
            .collect()
    };
    assert_eq!(names(&trained), names(&theirs));
    decoder
}

#[test_case("llama2")]
#[test_case("gemma3")]
fn steps_upon_nf4_lower_the_loss(case: &str) {
    let output = tempfile::tempdir().unwrap();
    let mut decoder = adapted(case, "lora", &quantised());
    let found = ten_steps(&mut decoder, case, "lora", output.path());
    let expected = Reference::read(case, "lora").nf4_loss.unwrap();
    assert!(
        (found[0].loss - expected).abs() <= 1e-5,
        "{}",
        found[0].loss
    );
    assert!(found[9].loss < 0.9 * expected, "{}", found[9].loss);
}
