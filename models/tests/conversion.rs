//! Holds GGUF files against llama.cpp's converter and llama-quantize, byte for byte.
//!
//! The data, the versions and the script that made them lie in `tests/golden/conversion`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::Path;

use sha2::{Digest, Sha256};
use shipworthy_models::gguf::{Existing, GgufFile};
use shipworthy_models::{Checkpoint, ConvertOptions, Converted, FileType, convert};
use support::{Golden, QuantizedTensor};
use test_case::test_case;

fn digest(data: &[u8]) -> String {
    Sha256::digest(data)
        .iter()
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
}

fn file_type(name: &str) -> FileType {
    match name {
        "bf16" => FileType::Bf16,
        "f16" => FileType::F16,
        "f32" => FileType::F32,
        "q8_0" => FileType::Q8_0,
        "q4_k_m" => FileType::Q4_K_M,
        "q5_k_m" => FileType::Q5_K_M,
        "q6_k" => FileType::Q6_K,
        other => panic!("{other}"),
    }
}

fn converted(checkpoint: &Path, kind: &str, output: &Path) -> Converted {
    let base = Checkpoint::open(checkpoint).unwrap();
    let options = ConvertOptions {
        output: output.to_owned(),
        file_type: file_type(kind),
        existing: Existing::Keep,
        tokenizer: None,
    };
    let mut last = None;
    let converted = convert(&base, None, &options, &mut |progress| {
        last = Some(progress);
        ControlFlow::Continue(())
    })
    .unwrap();
    let last = last.unwrap();
    assert_eq!(last.done, last.total);
    assert_eq!(converted.bytes, std::fs::metadata(output).unwrap().len());
    converted
}

#[test_case("llama2")]
#[test_case("llama3")]
#[test_case("mistral")]
#[test_case("qwen2")]
#[test_case("qwen3")]
#[test_case("gemma3")]
#[test_case("blocks")]
#[test_case("fallbacks")]
#[test_case("wide")]
fn files_are_the_converters_to_the_byte(name: &str) {
    let directory = tempfile::tempdir().unwrap();
    let golden = Golden::read(name);
    let checkpoint = golden.write_checkpoint(name, directory.path());
    assert!(!golden.files.is_empty());
    for (kind, expected) in &golden.files {
        let output = directory.path().join(format!("{kind}.gguf"));
        converted(&checkpoint, kind, &output);
        assert_eq!(&digest(&std::fs::read(output).unwrap()), expected, "{kind}");
    }
}

#[cfg_attr(not(feature = "ggml"), ignore = "this build cannot quantise")]
#[test_case("blocks", &[0, 0, 0, 0])]
#[test_case("fallbacks", &[29, 29, 29, 4])]
#[test_case("wide", &[0, 0, 0, 0])]
fn tensors_are_llama_quantizes_to_the_byte(name: &str, fallbacks: &[usize]) {
    let directory = tempfile::tempdir().unwrap();
    let golden = Golden::read(name);
    let checkpoint = golden.write_checkpoint(name, directory.path());
    let mut found_fallbacks = Vec::new();
    for (kind, expected) in &golden.quantized {
        let output = directory.path().join(format!("{kind}.gguf"));
        found_fallbacks.push(converted(&checkpoint, kind, &output).fallbacks);
        let file = GgufFile::open(&output).unwrap();
        let found: BTreeMap<String, QuantizedTensor> = file
            .tensors()
            .iter()
            .map(|tensor| {
                let quantized = QuantizedTensor {
                    tensor_type: tensor.tensor_type().name().to_owned(),
                    sha256: digest(file.data(tensor)),
                };
                (tensor.name().to_owned(), quantized)
            })
            .collect();
        for (name, expected) in expected {
            assert_eq!(&found[name], expected, "{kind}, {name}");
        }
        assert_eq!(found.len(), expected.len());
        let id = file.key_values().get("general.file_type").unwrap().as_u64();
        assert_eq!(id, Some(u64::from(file_type(kind).id())));
    }
    assert_eq!(found_fallbacks, fallbacks);
}
