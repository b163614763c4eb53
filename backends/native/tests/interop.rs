//! What training writes, loaded by PEFT and transformers; `make interop` sets `PEFT_PYTHON`, a Python that
//! has them, and runs this.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod support;
#[path = "support/training.rs"]
mod training;

use std::path::Path;
use std::process::Command;

use candle_core::{Device, Tensor};
use shipworthy_native::Adaptation;
use support::{adapted, batch, compute, examples, folder, load_from, most};
use test_case::test_case;
use training::ten_steps;

/// The most that logits may differ.
const LOGITS: f32 = 1e-4;

/// Returns the logits of each golden sequence, by transformers and PEFT.
fn theirs(base: &Path, adapter: Option<&Path>) -> Vec<Tensor> {
    let python = std::env::var_os("PEFT_PYTHON").expect("`make interop` sets PEFT_PYTHON");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(python)
        .arg(root.join("tests/interop/peft_logits.py"))
        .arg(folder().join("sequences.json"))
        .arg(base)
        .args(adapter)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let rows: Vec<Vec<Vec<f32>>> = serde_json::from_slice(&output.stdout).unwrap();
    rows.into_iter()
        .map(|rows| Tensor::new(rows, &Device::Cpu).unwrap())
        .collect()
}

#[test_case("llama2", "lora")]
#[test_case("llama2", "rslora"; "rsLoRA, and a head that is saved")]
#[test_case("qwen2", "bias_all"; "all biases")]
#[test_case("qwen2", "bias_lora_only"; "biases of adapted layers")]
#[test_case("qwen2", "embedding"; "an embedding that is saved, apart from its head")]
#[test_case("qwen3", "lora")]
#[test_case("gemma3", "lora")]
#[test_case("gemma3_full", "full")]
fn peft_computes_what_was_trained(case: &str, adapter: &str) {
    let output = tempfile::tempdir().unwrap();
    let mut decoder = adapted(case, adapter, &compute());
    let untrained = decoder.logits(&batch(&examples())).unwrap();
    ten_steps(&mut decoder, case, adapter, output.path());
    let base = folder().join(case).join("base");
    let theirs = if adapter == "full" {
        // What is written has the base's 16 bits, so it is read again here, too.
        decoder = load_from(output.path(), &Adaptation::None, &compute());
        theirs(output.path(), None)
    } else {
        theirs(&base, Some(output.path()))
    };
    let theirs = Tensor::cat(&theirs, 0).unwrap();
    let ours = decoder.logits(&batch(&examples())).unwrap();
    let difference = most(&ours, &theirs);
    assert!(difference <= LOGITS, "{difference}");
    // The comparison can fail: training moved the logits.
    assert!(most(&untrained, &theirs) > 0.1);
}
