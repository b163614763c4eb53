//! Writes `model.safetensors` beside a `config.json` of a Llama: weights drawn at random, from which a
//! model is trained that begins at nothing.
//!
//!     random_start DIRECTORY SEED
//!
//! Matrices are normal with a deviation of `initializer_range` (0.02 unless `config.json` says otherwise),
//! norms 1, as transformers begins. The same arguments give the same bytes.

#![expect(clippy::cast_possible_truncation, reason = "weights have 32 bits")]

use std::error::Error;
use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use shipworthy_models::value_counts::projections;
use shipworthy_models::{Family, ModelConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, seed] = arguments.as_slice() else {
        return Err("usage: random_start DIRECTORY SEED".into());
    };
    let (directory, seed): (_, u64) = (Path::new(directory), seed.parse()?);
    let config = ModelConfig::read(directory)?;
    if config.family() != Family::Llama {
        return Err("config.json is not a Llama's".into());
    }
    let sizes = config.hyper_parameters()?;
    let written: Value = serde_json::from_slice(&fs::read(directory.join("config.json"))?)?;
    let deviation = written["initializer_range"].as_f64().unwrap_or(0.02);
    let hidden = u64::from(sizes.hidden_size);
    let mut shapes = vec![
        (
            "model.embed_tokens.weight".to_owned(),
            vec![u64::from(sizes.vocab_size), hidden],
        ),
        ("model.norm.weight".to_owned(), vec![hidden]),
    ];
    if !sizes.tie_word_embeddings {
        shapes.push((
            "lm_head.weight".to_owned(),
            vec![u64::from(sizes.vocab_size), hidden],
        ));
    }
    for layer in 0..sizes.num_hidden_layers {
        let name = |rest: &str| format!("model.layers.{layer}.{rest}.weight");
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            shapes.push((name(norm), vec![hidden]));
        }
        for projection in projections(&sizes) {
            let part = if projection.name.len() == 6 {
                "self_attn"
            } else {
                "mlp"
            };
            shapes.push((
                name(&format!("{part}.{}", projection.name)),
                vec![projection.out_features, projection.in_features],
            ));
        }
    }
    let mut tensors = Vec::new();
    for (name, shape) in shapes {
        let shape = shape
            .into_iter()
            .map(usize::try_from)
            .collect::<Result<Vec<_>, _>>()?;
        let count = shape.iter().product();
        let values: Vec<f32> = match shape.len() {
            1 => vec![1.0; count],
            _ => Normal::new(seed, &name)
                .take(count)
                .map(|value| (value * deviation) as f32)
                .collect(),
        };
        let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
        tensors.push((name, shape, bytes));
    }
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    let file = serialize(views, None)?;
    fs::write(directory.join("model.safetensors"), file)?;
    Ok(())
}

/// Normal values: uniform ones of SHA-256 over seed, name and place, by Box and Muller.
struct Normal {
    name: String,
    place: u64,
}

impl Normal {
    fn new(seed: u64, name: &str) -> Self {
        Self {
            name: format!("{seed} {name}"),
            place: 0,
        }
    }
}

impl Iterator for Normal {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        let digest = Sha256::digest(format!("{} {}", self.name, self.place));
        self.place += 1;
        let uniform = |from: usize| {
            let bytes = digest[from..from + 4].try_into().expect("four bytes");
            (f64::from(u32::from_le_bytes(bytes)) + 0.5) / 4_294_967_296.0
        };
        let (radius, angle) = (uniform(0), uniform(4));
        Some((-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos())
    }
}
