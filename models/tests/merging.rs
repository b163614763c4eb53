//! Holds merged models against PEFT's `merge_and_unload`, bit for bit.
//!
//! The data, the versions and the script that made them lie in `tests/golden/models`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::Value;
use sha2::{Digest, Sha256};
use shipworthy_models::{Adapter, Checkpoint, MergeOptions, Merged, OutputFormat, merge};
use test_case::test_case;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/models")
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn digest(data: &[u8]) -> String {
    Sha256::digest(data)
        .iter()
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
}

/// Merges one case and returns the digests of all tensors, by name.
fn merged(
    family: &str,
    case: &str,
    format: OutputFormat,
    out: &Path,
) -> (Merged, BTreeMap<String, String>) {
    let base = Checkpoint::open(&folder().join(family).join("base")).unwrap();
    let adapter = Adapter::open(&folder().join(family).join(case)).unwrap();
    let options = MergeOptions {
        output: out.to_owned(),
        format,
    };
    let mut last = None;
    let merged = merge(&base, &adapter, &options, &mut |progress| {
        last = Some(progress);
        ControlFlow::Continue(())
    })
    .unwrap();
    let last = last.unwrap();
    assert_eq!((last.done, last.total), (merged.bytes, merged.bytes));
    let mut digests = BTreeMap::new();
    for name in merged
        .files
        .iter()
        .filter(|name| name.ends_with(".safetensors"))
    {
        let bytes = std::fs::read(out.join(name)).unwrap();
        for (name, view) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
            assert!(digests.insert(name, digest(view.data())).is_none());
        }
    }
    // What was written is a checkpoint again.
    let again = Checkpoint::open(out).unwrap();
    let names: Vec<&str> = again.tensor_names().collect();
    assert_eq!(
        names,
        digests.keys().map(String::as_str).collect::<Vec<_>>()
    );
    (merged, digests)
}

#[test_case("llama", "lora")]
#[test_case("llama", "rslora")]
#[test_case("llama", "dora")]
#[test_case("llama", "embedding")]
#[test_case("llama", "embedding_dora")]
#[test_case("mistral", "patterns")]
#[test_case("qwen2", "bias")]
#[test_case("qwen2", "lora_bias")]
#[test_case("qwen2", "untied")]
#[test_case("qwen2", "untied_embedding")]
#[test_case("qwen3", "modules_to_save")]
#[test_case("qwen3", "rsdora")]
#[test_case("gemma3", "lora")]
fn merged_weights_are_pefts_to_the_bit(family: &str, case: &str) {
    let golden = read(&folder().join(family).join(case).join("merged.json"));
    let directory = tempfile::tempdir().unwrap();
    for (name, format) in [("f32", OutputFormat::F32), ("bf16", OutputFormat::Bf16)] {
        let out = directory.path().join(name);
        let (merged, digests) = merged(family, case, format, &out);
        let expected: BTreeMap<String, String> =
            serde_json::from_value(golden[name].clone()).unwrap();
        let differing: Vec<&String> = expected
            .iter()
            .filter(|(name, digest)| digests.get(*name) != Some(digest))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(differing, Vec::<&String>::new(), "{name}");
        assert_eq!(digests.len(), expected.len(), "{name}");
        let config = read(&out.join("config.json"));
        assert_eq!(
            config["dtype"],
            if name == "f32" { "float32" } else { "bfloat16" }
        );
        assert_eq!(config["tie_word_embeddings"], golden["tied"]);
        assert_eq!(merged.untied, case.starts_with("untied"));
    }
}

/// The comparison above can fail: the base's own weights are others.
#[test]
fn a_merge_changes_what_it_should_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let golden = read(&folder().join("llama/rslora/merged.json"));
    let base = folder().join("llama/base/model.safetensors");
    let bytes = std::fs::read(base).unwrap();
    let mut changed = 0;
    for (name, view) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
        let differs = golden["bf16"][&name] != digest(view.data()).as_str();
        let is_target = ["q_proj", "k_proj", "v_proj", "o_proj"]
            .iter()
            .any(|module| name.contains(module));
        assert_eq!(differs, is_target, "{name}");
        changed += usize::from(differs);
    }
    let out = directory.path().join("out");
    let (merged, _) = merged("llama", "rslora", OutputFormat::Base, &out);
    assert_eq!((merged.changed, changed), (8, 8));
}
