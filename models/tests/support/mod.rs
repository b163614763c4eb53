//! The checkpoints of `tests/golden/conversion`, made anew: their weights follow from their names.

#![allow(dead_code, reason = "every test binary uses a part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Deserialize;

/// One case of `generate.py`, which says what the fields are.
#[derive(Deserialize)]
pub struct Golden {
    pub config: serde_json::Value,
    pub tokenizer: String,
    dtype: String,
    tensors: BTreeMap<String, Vec<usize>>,
    pub files: BTreeMap<String, String>,
    pub quantized: BTreeMap<String, BTreeMap<String, QuantizedTensor>>,
    #[serde(default)]
    pub prompts: Vec<Vec<i32>>,
}

#[derive(Deserialize, Debug, PartialEq, Eq)]
pub struct QuantizedTensor {
    #[serde(rename = "type")]
    pub tensor_type: String,
    pub sha256: String,
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden")
}

impl Golden {
    pub fn read(name: &str) -> Self {
        let path = folder().join(format!("conversion/{name}.json"));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    /// Writes the checkpoint as a directory of the name that the converter saw.
    pub fn write_checkpoint(&self, name: &str, parent: &Path) -> PathBuf {
        let directory = parent.join(format!("Tiny-{name}"));
        std::fs::create_dir(&directory).unwrap();
        let tokenizer = folder().join("tokenizers").join(&self.tokenizer);
        for entry in std::fs::read_dir(tokenizer).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            if !["config.json", "ids.json", "metadata.json"].contains(&name.to_str().unwrap()) {
                std::fs::copy(entry.path(), directory.join(name)).unwrap();
            }
        }
        std::fs::write(directory.join("config.json"), self.config.to_string()).unwrap();
        let is_gemma = self
            .tensors
            .keys()
            .any(|name| name.contains("pre_feedforward"));
        let dtype = match self.dtype.as_str() {
            "bfloat16" => Dtype::BF16,
            "float16" => Dtype::F16,
            _ => Dtype::F32,
        };
        let stored: Vec<(&String, &Vec<usize>, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, shape)| {
                let values = values(name, shape, is_gemma);
                let bytes = values.flat_map(|value| match dtype {
                    Dtype::BF16 => bf16::from_f32(value).to_le_bytes().to_vec(),
                    Dtype::F16 => f16::from_f32(value).to_le_bytes().to_vec(),
                    _ => value.to_le_bytes().to_vec(),
                });
                (name, shape, bytes.collect())
            })
            .collect();
        let views = stored.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(dtype, (*shape).clone(), bytes).unwrap();
            (name.as_str(), view)
        });
        let metadata = [("format".to_owned(), "pt".to_owned())].into();
        let file = directory.join("model.safetensors");
        safetensors::serialize_to_file(views, Some(metadata), &file).unwrap();
        directory
    }
}

/// The values of a tensor, as `generate.py` has them.
fn values(name: &str, shape: &[usize], is_gemma: bool) -> impl Iterator<Item = f32> {
    let digest = name.bytes().fold(0xCBF2_9CE4_8422_2325u64, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    let columns = shape[shape.len() - 1];
    let is_norm = name.ends_with("norm.weight");
    let is_whole = name.ends_with("embed_tokens.weight") || name.ends_with("lm_head.weight");
    let divisor = if is_norm || name.ends_with("bias") {
        4.0
    } else if is_whole {
        1.0
    } else {
        2f64.powf(((columns as f64).log2() / 2.0 - 1.0).round_ties_even())
    };
    let added = if is_norm && !is_gemma { 1.0 } else { 0.0 };
    let count = shape.iter().product::<usize>() as u64;
    (1..=count).map(move |idx| {
        let mut state = digest.wrapping_add(idx.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        state ^= state >> 31;
        let uniform = (state >> 40) as f64 / f64::from(1 << 23) - 1.0;
        (uniform / divisor + added) as f32
    })
}
