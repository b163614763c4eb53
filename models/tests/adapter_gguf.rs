//! Holds LoRA files against those of llama.cpp's converter, and scales against PEFT's.
//!
//! What the converter writes, the versions and the script that ran it lie in `tests/golden/lora`, the
//! adapters in `tests/golden/models`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use shipworthy_models::gguf::{Existing, GgufFile, Value};
use shipworthy_models::{
    Adapter, ConvertAdapterOptions, ConvertedAdapter, FileType, ModelError, convert_adapter,
};
use test_case::test_case;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden")
}

fn models() -> PathBuf {
    golden().join("models")
}

/// Writes the adapter in `adapter` for the base in `base`.
fn write(
    base: &Path,
    adapter: &Path,
    file_type: FileType,
    out: &Path,
) -> Result<ConvertedAdapter, ModelError> {
    let options = ConvertAdapterOptions {
        output: out.to_owned(),
        file_type,
        existing: Existing::Keep,
    };
    let mut last = None;
    let converted = convert_adapter(base, &Adapter::open(adapter)?, &options, &mut |progress| {
        last = Some(progress);
        ControlFlow::Continue(())
    })?;
    let last = last.unwrap();
    assert_eq!(last.done, last.total);
    assert_eq!(converted.bytes, std::fs::metadata(out).unwrap().len());
    Ok(converted)
}

/// The same for a case of the golden data.
fn case(case: &str, file_type: FileType, out: &Path) -> Result<ConvertedAdapter, ModelError> {
    let (family, _) = case.split_once('/').unwrap();
    let base = models().join(family).join("base");
    write(&base, &models().join(case), file_type, out)
}

/// Returns the file's tensors as the golden data has them: dimensions and digest, in order of names.
fn described(file: &GgufFile) -> BTreeMap<String, String> {
    let describe = |tensor: &shipworthy_models::gguf::StoredTensor| {
        let sizes: Vec<String> = tensor.dimensions().iter().map(u64::to_string).collect();
        let mut text = format!("{} ", sizes.join("x"));
        for byte in Sha256::digest(file.data(tensor)) {
            write!(text, "{byte:02x}").unwrap();
        }
        (tensor.name().to_owned(), text)
    };
    file.tensors().iter().map(describe).collect()
}

fn converters(case: &str, kind: &str) -> Json {
    let text = std::fs::read_to_string(golden().join("lora/converter.json")).unwrap();
    let golden: Json = serde_json::from_str(&text).unwrap();
    golden["cases"][case][kind].clone()
}

const TYPES: [(&str, FileType); 3] = [
    ("f32", FileType::F32),
    ("f16", FileType::F16),
    ("bf16", FileType::Bf16),
];

#[test_case("llama/lora", 14)]
#[test_case("llama/embedding", 4)]
#[test_case("gemma3/lora", 14)]
fn plain_adapters_are_the_converters_byte_for_byte(name: &str, modules: usize) {
    let place = tempfile::tempdir().unwrap();
    for (kind, file_type) in TYPES {
        let out = place.path().join(kind);
        let converted = case(name, file_type, &out).unwrap();
        assert_eq!((converted.modules, converted.rescaled), (modules, 0));
        assert_eq!(converted.not_compared, Vec::<String>::new());
        let file = GgufFile::open(&out).unwrap();
        let golden = converters(name, kind);
        let tensors: BTreeMap<String, String> =
            serde_json::from_value(golden["tensors"].clone()).unwrap();
        assert_eq!(described(&file), tensors, "{kind}");
        // What the converter says is said in the same words; we say more, namely of the base.
        let mut own = BTreeMap::new();
        for (key, value) in file.key_values().iter() {
            let text = match value {
                Value::String(text) => format!("STRING {text}"),
                Value::F32(number) => format!("FLOAT32 {number:?}"),
                Value::U32(number) => format!("UINT32 {number}"),
                other => panic!("{other:?}"),
            };
            own.insert(key.to_owned(), text);
        }
        let keys: BTreeMap<String, String> =
            serde_json::from_value(golden["key_values"].clone()).unwrap();
        own.retain(|key, _| !key.starts_with("general.base_model."));
        assert_eq!(own, keys, "{kind}");
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let numbers = bytes.as_chunks().0.iter();
    numbers.map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

/// PEFT's scale of a module: what `adapter_config.json` of the golden data says, worked out by hand.
fn pefts_scale(case: &str, layer: &str, module: &str) -> f64 {
    if case == "llama/rslora" {
        return 8.0 / 6f64.sqrt();
    }
    let rank = match (layer, module) {
        ("0", "q_proj") => 2.0,
        (_, "q_proj") => 6.0,
        (_, "down_proj") => 3.0,
        _ => 4.0,
    };
    let alpha = match (layer, module) {
        (_, "k_proj" | "v_proj") => 5.0,
        ("1", _) => 3.0,
        _ => 8.0,
    };
    alpha / rank
}

/// Returns B as a file has it: the rows of a rotated head's halves by turns.
fn reordered(b: &TensorView<'_>, head_rows: Option<usize>) -> Vec<f32> {
    let [rows, rank] = b.shape()[..] else {
        panic!("{:?}", b.shape());
    };
    let values = floats(b.data());
    let row = |row: usize| {
        let from = head_rows.map_or(row, |size| {
            let (head, pair, half) = (row / size, row % size / 2, row % 2);
            head * size + half * (size / 2) + pair
        });
        values[from * rank..(from + 1) * rank].iter().copied()
    };
    (0..rows).flat_map(row).collect()
}

#[test_case("llama/rslora", 8, 0)]
#[test_case("mistral/patterns", 14, 9)]
fn what_llama_cpp_computes_has_pefts_scale(name: &str, modules: usize, rescaled: usize) {
    const NAMES: [(&str, &str); 7] = [
        ("attn_q", "q_proj"),
        ("attn_k", "k_proj"),
        ("attn_v", "v_proj"),
        ("attn_output", "o_proj"),
        ("ffn_gate", "gate_proj"),
        ("ffn_up", "up_proj"),
        ("ffn_down", "down_proj"),
    ];
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("adapter.gguf");
    let converted = case(name, FileType::F32, &out).unwrap();
    assert_eq!((converted.modules, converted.rescaled), (modules, rescaled));
    let bytes = std::fs::read(models().join(name).join("adapter_model.safetensors")).unwrap();
    let adapter = SafeTensors::deserialize(&bytes).unwrap();
    let file = GgufFile::open(&out).unwrap();
    let Some(Value::F32(alpha)) = file.key_values().get("adapter.lora.alpha") else {
        panic!("{:?}", file.key_values().get("adapter.lora.alpha"));
    };
    let theirs = converters(name, "f32");
    assert_eq!(
        theirs["key_values"]["adapter.lora.alpha"], "FLOAT32 8.0",
        "theirs is the configuration's alpha, whatever the scale is"
    );
    let described = described(&file);
    let mut wrong_in_theirs = 0;
    for tensor in file.tensors() {
        let Some(matrix) = tensor.name().strip_suffix(".weight.lora_b") else {
            let expected = &theirs["tensors"][tensor.name()];
            assert_eq!(*expected, *described[tensor.name()], "A is what it was");
            continue;
        };
        let (layer, matrix) = matrix
            .strip_prefix("blk.")
            .unwrap()
            .split_once('.')
            .unwrap();
        let (_, module) = NAMES.iter().find(|(gguf, _)| *gguf == matrix).unwrap();
        let part = if matrix.starts_with("ffn") {
            "mlp"
        } else {
            "self_attn"
        };
        let b = format!("base_model.model.model.layers.{layer}.{part}.{module}.lora_B.weight");
        let b = adapter.tensor(&b).unwrap();
        let rank = tensor.dimensions()[0] as f64;
        assert_eq!(b.shape()[1] as f64, rank);
        let rotates = ["attn_q", "attn_k"].contains(&matrix);
        let stored = reordered(&b, rotates.then_some(8));
        let scale = pefts_scale(name, layer, module);
        for (own, stored) in floats(file.data(tensor)).iter().zip(&stored) {
            // llama.cpp: alpha / rank, in 32 bits.
            let computed = f64::from(*alpha) / rank * f64::from(*own);
            let expected = scale * f64::from(*stored);
            assert!(
                (computed - expected).abs() <= 1e-6 * expected.abs(),
                "{}: {computed}, expected {expected}",
                tensor.name()
            );
        }
        // The converter has B as it is stored, and the configuration's alpha over the rank.
        wrong_in_theirs += usize::from((8.0 / rank - scale).abs() > 1e-6 * scale);
    }
    let expected = if name == "llama/rslora" { 8 } else { 9 };
    assert_eq!(
        wrong_in_theirs, expected,
        "modules of theirs with a wrong scale"
    );
}

#[test_case(
    "llama/dora",
    "`model.layers.0.mlp.down_proj` is changed by DoRA",
    true
)]
#[test_case(
    "qwen2/bias",
    "`model.layers.0.self_attn.k_proj.bias` was trained in full (a bias)",
    true
)]
#[test_case("qwen2/lora_bias", "has a bias of its own (`lora_bias`)", true)]
#[test_case(
    "qwen2/untied",
    "`lm_head.weight` was trained in full (`modules_to_save`)",
    true
)]
#[test_case("qwen3/modules_to_save", "was trained in full", true)]
fn what_a_file_cannot_carry_is_refused_by_name(name: &str, expected: &str, mergeable: bool) {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("adapter.gguf");
    let error = case(name, FileType::F16, &out).unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
    let ModelError::Lora(problem) = error else {
        panic!("{error:?}");
    };
    assert_eq!(problem.is_mergeable(), mergeable);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

/// Copies a directory of the golden data and changes its `config.json`.
fn changed_base(family: &str, to: &Path, field: &str, value: Json) -> PathBuf {
    let from = models().join(family).join("base");
    let base = to.join("base");
    std::fs::create_dir(&base).unwrap();
    let text = std::fs::read_to_string(from.join("config.json")).unwrap();
    let mut config: Json = serde_json::from_str(&text).unwrap();
    config[field] = value;
    std::fs::write(base.join("config.json"), config.to_string()).unwrap();
    base
}

#[test_case("lora", "num_hidden_layers", 1.into(), "`num_hidden_layers` in the base's `config.json` is 1"; "layers")]
#[test_case("lora", "intermediate_size", 64.into(), "down_proj.weight` has [32, 48] outputs and inputs in the adapter, expected [32, 64]"; "inner size")]
#[test_case("lora", "num_key_value_heads", 4.into(), "k_proj.weight` has [16, 32] outputs and inputs in the adapter, expected [32, 32]"; "heads")]
#[test_case("embedding", "vocab_size", 97.into(), "has [96, 32] outputs and inputs in the adapter, expected [97, 32]"; "tokens")]
#[test_case("embedding", "tie_word_embeddings", true.into(), "ties `lm_head` to the embedding"; "tied head")]
fn another_base_is_refused(adapter: &str, field: &str, value: Json, expected: &str) {
    let place = tempfile::tempdir().unwrap();
    let base = changed_base("llama", place.path(), field, value);
    let out = place.path().join("adapter.gguf");
    let adapter = models().join("llama").join(adapter);
    let error = write(&base, &adapter, FileType::F32, &out).unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
    assert!(!out.exists());
}

#[test]
fn few_bits_are_refused_with_the_list() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("adapter.gguf");
    let error = case("llama/lora", FileType::Q8_0, &out).unwrap_err();
    let expected = "a LoRA file cannot be Q8_0; it can be f16, bf16 or f32";
    assert_eq!(error.to_string(), expected);
}

/// Copies an adapter, with its tensors changed by `change`, which tells whether they are kept.
fn changed_adapter(name: &str, to: &Path, change: impl Fn(&str, &mut [u8]) -> bool) -> PathBuf {
    let (from, adapter) = (models().join(name), to.join("adapter"));
    std::fs::create_dir(&adapter).unwrap();
    let config = "adapter_config.json";
    std::fs::copy(from.join(config), adapter.join(config)).unwrap();
    let bytes = std::fs::read(from.join("adapter_model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = tensors.iter().filter_map(|(name, view)| {
        let mut data = view.data().to_vec();
        let is_kept = change(name, &mut data);
        is_kept.then(|| (name.to_owned(), view.dtype(), view.shape().to_vec(), data))
    });
    let tensors: Vec<_> = tensors.collect();
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    let out = adapter.join("adapter_model.safetensors");
    safetensors::serialize_to_file(views, None, &out).unwrap();
    adapter
}

#[test]
fn the_layer_below_an_embedding_must_be_the_bases() {
    let place = tempfile::tempdir().unwrap();
    let name = "model.embed_tokens.base_layer.weight";
    let adapter = changed_adapter("llama/embedding", place.path(), |tensor, data| {
        if tensor.ends_with(name) {
            data[3] ^= 0x80;
        }
        true
    });
    let out = place.path().join("adapter.gguf");
    let base = models().join("llama/base");
    let error = write(&base, &adapter, FileType::F32, &out).unwrap_err();
    let expected = "the adapter brings `model.embed_tokens.weight` itself";
    assert!(error.to_string().contains(expected), "{error}");
    // Without the base's weights nobody can tell, and that is said.
    let base = changed_base("llama", place.path(), "use_cache", true.into());
    let converted = write(&base, &adapter, FileType::F32, &out).unwrap();
    let names = ["lm_head.weight", "model.embed_tokens.weight"];
    assert_eq!(converted.not_compared, names);
}

#[test]
fn an_embedding_that_is_the_head_is_refused() {
    // llama-server dies of such a file: it multiplies A as if it were a matrix' one.
    let place = tempfile::tempdir().unwrap();
    let adapter = changed_adapter("llama/embedding", place.path(), |tensor, _| {
        !tensor.contains("lm_head")
    });
    let out = place.path().join("adapter.gguf");
    let base = models().join("llama/base");
    write(&base, &adapter, FileType::F32, &place.path().join("untied")).unwrap();
    let field = "tie_word_embeddings";
    let base = changed_base("llama", place.path(), field, true.into());
    let error = write(&base, &adapter, FileType::F32, &out).unwrap_err();
    let expected = "the base's head is `model.embed_tokens` too";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test_case(f32::NAN, FileType::F32, "tensor `base_model.model.model.layers.0.mlp.up_proj.lora_B.weight` at byte"; "not a number")]
#[test_case(7e4, FileType::F16, "`blk.0.ffn_up.weight.lora_b`, row 2 has a value that F16 cannot hold; write bf16 or f32"; "too large for half precision")]
fn numbers_that_cannot_be_written_are_found(value: f32, file_type: FileType, expected: &str) {
    let place = tempfile::tempdir().unwrap();
    let adapter = changed_adapter("llama/lora", place.path(), |tensor, data| {
        if tensor.ends_with("layers.0.mlp.up_proj.lora_B.weight") {
            data[36..40].copy_from_slice(&value.to_le_bytes());
        }
        true
    });
    let out = place.path().join("adapter.gguf");
    let base = models().join("llama/base");
    let error = write(&base, &adapter, file_type, &out).unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
    assert!(!out.exists());
}

#[test]
fn an_alpha_of_nothing_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let adapter = changed_adapter("llama/lora", place.path(), |_, _| true);
    let path = adapter.join("adapter_config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("\"lora_alpha\": 8", "\"lora_alpha\": 0");
    std::fs::write(&path, text).unwrap();
    let out = place.path().join("adapter.gguf");
    let base = models().join("llama/base");
    let converted = write(&base, &adapter, FileType::F32, &out).unwrap();
    // llama.cpp takes an alpha of 0 for a scale of 1.
    assert_eq!((converted.alpha, converted.rescaled), (1.0, 14));
    let file = GgufFile::open(&out).unwrap();
    for tensor in file.tensors() {
        let is_nothing = floats(file.data(tensor)).iter().all(|&value| value == 0.0);
        assert_eq!(is_nothing, tensor.name().ends_with(".lora_b"));
    }
}
