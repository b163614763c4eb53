//! Holds a GGUF file's metadata against llama.cpp's converter: keys, types, values and order.
//!
//! The data, the versions and the script that made them lie in `tests/golden/metadata`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use shipworthy_models::gguf::{Array, Value};
use shipworthy_models::{
    FileType, Lineage, Llama3Scaling, ModelConfig, Rope, RopeScaling, model_metadata,
};
use test_case::test_case;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/metadata")
}

fn read(name: &str) -> Json {
    serde_json::from_str(&std::fs::read_to_string(folder().join(name)).unwrap()).unwrap()
}

/// Returns type and value as the script writes them.
fn shown(value: &Value) -> (&'static str, Json) {
    match value {
        Value::U32(value) => ("UINT32", json!(value)),
        Value::I32(value) => ("INT32", json!(value)),
        Value::F32(value) => ("FLOAT32", json!(value)),
        Value::String(value) => ("STRING", json!(value)),
        Value::Bool(value) => ("BOOL", json!(value)),
        Value::Array(Array::String(strings)) => {
            ("ARRAY of STRING", json!(strings.iter().collect::<Vec<_>>()))
        }
        other => panic!("{other:?}"),
    }
}

#[test_case("llama_3_2")]
#[test_case("llama_linear")]
#[test_case("llama_yarn")]
#[test_case("llama_plain")]
#[test_case("llama_parameters")]
#[test_case("mistral_0_3")]
#[test_case("mistral_0_1")]
#[test_case("qwen2_5")]
#[test_case("qwen2_yarn")]
#[test_case("qwen3")]
#[test_case("qwen3_default")]
#[test_case("gemma3_old")]
#[test_case("gemma3_parameters")]
#[test_case("gemma3_global")]
#[test_case("gemma3_nested")]
fn metadata_is_the_converters(case: &str) {
    let expected = read(&format!("{case}.json"));
    let directory = folder().join(case).join(expected["name"].as_str().unwrap());
    let config = ModelConfig::read(&directory).unwrap();
    let model = config.hyper_parameters().unwrap();
    let parameters = expected["total_params"].as_u64().unwrap();
    let lineage = Lineage::of_checkpoint(&directory, &config, parameters).unwrap();
    let file_type = match expected["file_type"].as_str().unwrap() {
        "f32" => FileType::F32,
        "f16" => FileType::F16,
        _ => FileType::Bf16,
    };
    let found = model_metadata(config.family(), &model, &lineage, file_type);
    let found: Vec<(String, &str, Json)> = found
        .iter()
        .map(|(key, value)| {
            let (of, value) = shown(value);
            (key.to_owned(), of, value)
        })
        .collect();
    let expected: Vec<(String, &str, Json)> = expected["key_values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let of = entry[1].as_str().unwrap();
            let value = match of {
                // The converter rounds when it writes.
                #[expect(clippy::cast_possible_truncation, reason = "so does the converter")]
                "FLOAT32" => json!(entry[2].as_f64().unwrap() as f32),
                _ => entry[2].clone(),
            };
            (entry[0].as_str().unwrap().to_owned(), of, value)
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn factors_of_llama_3_are_pytorchs_to_the_bit() {
    for row in read("rope_freqs.json").as_array().unwrap() {
        let number = |idx: usize| row[idx].as_f64().unwrap();
        let whole = |idx: usize| u32::try_from(row[idx].as_u64().unwrap()).unwrap();
        let rope = Rope {
            theta: number(1),
            scaling: RopeScaling::Llama3(Llama3Scaling {
                factor: number(2),
                low_freq_factor: number(3),
                high_freq_factor: number(4),
                original_max_position_embeddings: whole(5),
            }),
            local_theta: None,
        };
        let found = rope.llama3_factors(whole(0)).unwrap();
        let found: Vec<u64> = found.iter().map(|value| value.to_bits().into()).collect();
        let expected: Vec<u64> = serde_json::from_value(row[6].clone()).unwrap();
        assert_eq!(found, expected, "{row}");
    }
}
