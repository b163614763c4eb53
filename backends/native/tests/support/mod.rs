//! The golden data of `tests/golden/training`, whose `generate.py` says what is where.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "every test binary uses a part; a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;
use serde::Deserialize;
use serde_json::Value;
use shipworthy_datasets::TokenisedExample;
use shipworthy_models::{Adapter, Checkpoint};
use shipworthy_native::{
    Adaptation, Batch, BatchLoss, Bias, Compute, Decoder, Gradients, LoraOptions, Nf4Options, Pass,
    TargetModules,
};

/// What is learnt in one go where a test says nothing else; less than a sequence has.
const LOSS_CHUNK: usize = 16;

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/training")
}

/// What was computed with an adapter, or with everything trained.
#[derive(Deserialize)]
pub(crate) struct Reference {
    pub(crate) loss: f64,
    pub(crate) nf4_loss: Option<f64>,
    pub(crate) decays: BTreeMap<String, bool>,
    pub(crate) learning_rate: f64,
    pub(crate) steps: usize,
    pub(crate) warmup_steps: usize,
    pub(crate) weight_decay: f64,
    pub(crate) max_grad_norm: f64,
    pub(crate) log: Vec<Step>,
    /// `gradient.NAME`, `logits.SEQUENCE` and, upon quantised layers, `nf4_gradient.NAME`, `nf4_logits.SEQUENCE`.
    #[serde(skip)]
    pub(crate) tensors: BTreeMap<String, Tensor>,
}

/// What is logged of a step, before it is taken.
#[derive(Deserialize)]
pub(crate) struct Step {
    pub(crate) loss: f64,
    pub(crate) grad_norm: f64,
    pub(crate) learning_rate: f64,
}

impl Reference {
    /// Reads the one of `CASE/ADAPTER`.
    pub(crate) fn read(case: &str, adapter: &str) -> Self {
        let folder = folder().join(case).join(adapter);
        let text = std::fs::read_to_string(folder.join("reference.json")).unwrap();
        let mut reference: Self = serde_json::from_str(&text).unwrap();
        reference.tensors = tensors(&folder.join("reference.safetensors"));
        reference
    }

    /// Returns the tensors whose names begin so, by the rest of their names.
    pub(crate) fn named(&self, beginning: &str) -> BTreeMap<&str, &Tensor> {
        let all = self.tensors.iter();
        let named = all.filter_map(|(name, tensor)| Some((name.strip_prefix(beginning)?, tensor)));
        named.collect()
    }
}

/// Reads a file of tensors of 32 bits.
pub(crate) fn tensors(path: &Path) -> BTreeMap<String, Tensor> {
    let bytes = std::fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = tensors.iter().map(|(name, view)| {
        assert_eq!(view.dtype(), safetensors::Dtype::F32);
        let device = Device::Cpu;
        let tensor = Tensor::from_raw_buffer(view.data(), DType::F32, view.shape(), &device);
        (name.to_owned(), tensor.unwrap())
    });
    tensors.collect()
}

/// Returns what all models are given.
pub(crate) fn examples() -> Vec<TokenisedExample> {
    #[derive(Deserialize)]
    struct Sequence {
        tokens: Vec<u32>,
        labelled: Vec<bool>,
    }
    let text = std::fs::read_to_string(folder().join("sequences.json")).unwrap();
    let sequences: Vec<Sequence> = serde_json::from_str(&text).unwrap();
    let examples = sequences
        .into_iter()
        .enumerate()
        .map(|(idx, sequence)| TokenisedExample {
            id: idx.to_string(),
            tokens: sequence.tokens,
            labelled: sequence.labelled,
        });
    examples.collect()
}

/// Puts examples into one batch; each has its own random numbers.
pub(crate) fn batch(examples: &[TokenisedExample]) -> Batch {
    Batch::new(examples.iter().zip(0..))
}

pub(crate) fn compute() -> Compute {
    Compute::host(None)
}

/// Linear layers in NF4 with double quantisation.
pub(crate) fn quantised() -> Compute {
    Compute::host(Some(Nf4Options { double_quant: true }))
}

/// Loads `CASE/base`, to be adapted so.
pub(crate) fn load(case: &str, adaptation: &Adaptation, compute: &Compute) -> Decoder {
    load_from(&folder().join(case).join("base"), adaptation, compute)
}

pub(crate) fn load_from(folder: &Path, adaptation: &Adaptation, compute: &Compute) -> Decoder {
    let checkpoint = Arc::new(Checkpoint::open(folder).unwrap());
    Decoder::load(&checkpoint, adaptation, compute, 7, &mut |_, _| ()).unwrap()
}

/// Loads what `CASE/ADAPTER` was trained as, with the adapter's weights.
pub(crate) fn adapted(case: &str, adapter: &str, compute: &Compute) -> Decoder {
    if adapter == "full" {
        return load(case, &Adaptation::Full, compute);
    }
    let mut decoder = load(
        case,
        &Adaptation::Lora(lora_options(case, adapter)),
        compute,
    );
    let adapter = Adapter::open(&folder().join(case).join(adapter)).unwrap();
    decoder.load_adapter(&adapter).unwrap();
    decoder
}

fn adapter_config(case: &str, adapter: &str) -> Value {
    let path = folder()
        .join(case)
        .join(adapter)
        .join("adapter_config.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn list(value: &Value) -> Vec<String> {
    let list = value.as_array().into_iter().flatten();
    list.map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// Returns the modules an adapter changes, as its file lists them.
pub(crate) fn target_modules(case: &str, adapter: &str) -> Vec<String> {
    list(&adapter_config(case, adapter)["target_modules"])
}

/// Returns what an adapter's `adapter_config.json` says; `lora` was made for `all-linear`.
pub(crate) fn lora_options(case: &str, adapter: &str) -> LoraOptions {
    let config = adapter_config(case, adapter);
    let r = usize::try_from(config["r"].as_u64().unwrap()).unwrap();
    let mut options = LoraOptions::new(r, config["lora_alpha"].as_f64().unwrap());
    options.use_rslora = config["use_rslora"].as_bool().unwrap();
    if adapter != "lora" {
        options.target_modules = TargetModules::Listed(target_modules(case, adapter));
    }
    options.modules_to_save = list(&config["modules_to_save"]);
    options.bias = match config["bias"].as_str().unwrap() {
        "none" => Bias::None,
        "all" => Bias::All,
        "lora_only" => Bias::LoraOnly,
        other => panic!("{other}"),
    };
    options
}

/// How a step over these examples is computed.
pub(crate) fn pass(examples: &[TokenisedExample]) -> Pass {
    let labelled: usize = examples.iter().map(TokenisedExample::labelled_count).sum();
    Pass {
        gradient_scale: 1.0 / labelled as f64,
        dropout_seed: None,
        checkpointing: false,
        loss_chunk: LOSS_CHUNK,
    }
}

/// Returns loss and gradients of batches that make one step.
pub(crate) fn accumulate(decoder: &Decoder, batches: &[Batch], pass: &Pass) -> (f64, Gradients) {
    let mut gradients = Gradients::new(decoder.parameters());
    let losses: Vec<BatchLoss> = batches
        .iter()
        .map(|batch| decoder.accumulate(batch, pass, &mut gradients).unwrap())
        .collect();
    let labelled: usize = losses.iter().map(BatchLoss::labelled).sum();
    let sum: f64 = losses.iter().map(BatchLoss::nll_sum).sum();
    (sum / labelled as f64, gradients)
}

/// Returns gradients by their parameters' names; every parameter has one.
pub(crate) fn by_name(decoder: &Decoder, gradients: &Gradients) -> BTreeMap<String, Tensor> {
    let all = decoder.parameters().iter();
    let named = all.map(|(id, parameter)| {
        let gradient = gradients.get(id);
        let gradient = gradient.unwrap_or_else(|| panic!("{} has no gradient", parameter.name));
        assert_eq!(gradient.dtype(), DType::F32);
        (parameter.name.clone(), gradient.clone())
    });
    named.collect()
}

pub(crate) fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Returns the root of the sum of squares.
pub(crate) fn norm(values: impl IntoIterator<Item = f32>) -> f64 {
    let squares = values.into_iter().map(|value| f64::from(value).powi(2));
    squares.sum::<f64>().sqrt()
}

/// Returns the norm of the difference, relative to the expected one's.
pub(crate) fn relative_error(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.dims(), expected.dims());
    let (found, expected) = (values(found), values(expected));
    let difference = found.iter().zip(&expected).map(|(one, other)| one - other);
    norm(difference) / norm(expected.iter().copied())
}

/// Returns the most that two values differ by.
pub(crate) fn most(found: &Tensor, expected: &Tensor) -> f32 {
    assert_eq!(found.dims(), expected.dims());
    let (found, expected) = (values(found), values(expected));
    let differences = found
        .iter()
        .zip(&expected)
        .map(|(one, other)| (one - other).abs());
    // A NaN is the most there can be.
    differences.fold(
        0.0,
        |most, difference| if difference <= most { most } else { difference },
    )
}
