#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use safetensors::tensor::{Dtype, TensorView};
use shipworthy_datasets::TokenisedExample;
use shipworthy_models::Checkpoint;
use shipworthy_native::{
    Adaptation, AdapterDescription, Compute, Decoder, LoraOptions, LrSchedulerType, ModelForm,
    Optim, TrainedModel, TrainingData, TrainingError, TrainingEvent, TrainingJob, TrainingLength,
    TrainingOptions, TrainingOutcome, Warmup, Watch, train,
};
use tempfile::TempDir;

pub(crate) const VOCABULARY: usize = 32;
pub(crate) const HIDDEN: usize = 16;
const INNER: usize = 24;

/// A base, data and a place for output.
pub(crate) struct Project {
    place: TempDir,
    pub(crate) data: TrainingData,
    pub(crate) options: TrainingOptions,
    pub(crate) is_full: bool,
    pub(crate) base_digest: String,
}

impl Project {
    pub(crate) fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        write_base(&place.path().join("base"), |_, _| {});
        Self {
            place,
            data: TrainingData {
                train: (0..11).map(|idx| example("train", idx)).collect(),
                eval: (0..3).map(|idx| example("eval", idx)).collect(),
            },
            options: options(),
            is_full: false,
            base_digest: "digest".to_owned(),
        }
    }

    pub(crate) fn base(&self) -> PathBuf {
        self.place.path().join("base")
    }

    pub(crate) fn output(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) fn decoder(&self) -> Decoder {
        let checkpoint = Arc::new(Checkpoint::open(&self.base()).unwrap());
        let adaptation = if self.is_full {
            Adaptation::Full
        } else {
            Adaptation::Lora(lora())
        };
        let compute = Compute::host(None);
        Decoder::load(&checkpoint, &adaptation, &compute, 5, &mut |_, _| {}).unwrap()
    }

    pub(crate) fn model(&self) -> TrainedModel {
        let lora = lora();
        let form = ModelForm::Adapter(AdapterDescription {
            r: lora.r,
            lora_alpha: lora.alpha,
            lora_dropout: lora.dropout,
            use_rslora: false,
            bias: "none".to_owned(),
            target_modules: vec!["q_proj".to_owned(), "down_proj".to_owned()],
            modules_to_save: Vec::new(),
        });
        TrainedModel {
            base: self.base(),
            base_name: "tiny/base".to_owned(),
            base_digest: self.base_digest.clone(),
            form: if self.is_full { ModelForm::Full } else { form },
            settings: vec![("dtype".to_owned(), "float32".to_owned())],
        }
    }

    /// Trains; `watch` gets every event and may ask to stop.
    pub(crate) fn train(
        &self,
        name: &str,
        resume: Option<&Path>,
        mut watch: impl FnMut(&TrainingEvent, &AtomicBool),
    ) -> Result<TrainingOutcome, TrainingError> {
        let stop = AtomicBool::new(false);
        let seconds = Cell::new(0);
        let clock = || {
            seconds.set(seconds.get() + 1);
            Duration::from_secs(seconds.get())
        };
        train(
            &mut self.decoder(),
            &TrainingJob {
                data: &self.data,
                options: &self.options,
                model: &self.model(),
                output: &self.output(name),
                resume,
            },
            &mut Watch {
                observe: &mut |event| watch(&event, &stop),
                stop: &stop,
                clock: &clock,
            },
        )
    }

    /// Trains to the end, without looking.
    pub(crate) fn train_through(&self, name: &str) -> TrainingOutcome {
        self.train(name, None, |_, _| {}).unwrap()
    }

    /// Trains, and asks to stop when the event comes that `is_time` tells for.
    pub(crate) fn train_until(
        &self,
        name: &str,
        mut is_time: impl FnMut(&TrainingEvent) -> bool,
    ) -> TrainingOutcome {
        let watch = |event: &TrainingEvent, stop: &AtomicBool| {
            if is_time(event) {
                stop.store(true, Ordering::Relaxed);
            }
        };
        self.train(name, None, watch).unwrap()
    }
}

/// Returns every file below a directory, by its path there.
pub(crate) fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(inside) = left.pop() {
        for entry in std::fs::read_dir(inside).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap();
                let name = name.to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Fails if two directories differ in any file.
pub(crate) fn assert_same(found: &Path, expected: &Path) {
    let (found, expected) = (files(found), files(expected));
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &expected {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let is_text = Path::new(name)
            .extension()
            .is_some_and(|extension| extension == "json");
        if is_text {
            assert_eq!(text(&found[name]), text(bytes), "{name}");
        }
        assert!(found[name] == *bytes, "{name} differs");
    }
}

/// Options under which everything happens: dropout, accumulation, a smaller last step, evaluations, lines
/// of two steps.
fn options() -> TrainingOptions {
    TrainingOptions {
        learning_rate: 2e-2,
        lr_scheduler_type: LrSchedulerType::Cosine,
        warmup: Warmup::Ratio(0.1),
        weight_decay: 0.01,
        max_grad_norm: Some(1.0),
        optim: Optim::AdamwTorch,
        length: TrainingLength::NumTrainEpochs(2.0),
        per_device_train_batch_size: 2,
        per_device_eval_batch_size: 2,
        gradient_accumulation_steps: 2,
        packing: None,
        shuffle: true,
        seed: 42,
        logging_steps: 2,
        eval_steps: Some(2),
        save_steps: Some(3),
        save_total_limit: None,
        early_stopping_patience: None,
        gradient_checkpointing: false,
        loss_chunk: 16,
        memory_knobs: Vec::new(),
    }
}

fn lora() -> LoraOptions {
    let mut lora = LoraOptions::new(4, 8.0);
    lora.dropout = 0.1;
    let names = ["q_proj", "down_proj"].map(str::to_owned);
    lora.target_modules = shipworthy_native::TargetModules::Listed(names.to_vec());
    lora
}

/// An example whose tokens follow a rule that can be learnt.
pub(crate) fn example(file: &str, idx: usize) -> TokenisedExample {
    let length = 5 + idx % 4;
    let tokens: Vec<u32> = (0..length)
        .map(|place| u32::try_from((3 * idx + 2 * place) % (VOCABULARY - 1)).unwrap())
        .collect();
    TokenisedExample {
        id: format!("{file}.jsonl:{}", idx + 1),
        labelled: (0..length).map(|place| place >= 2).collect(),
        tokens,
    }
}

/// Writes a Llama of two layers; `replace` may change the values of a tensor.
pub(crate) fn write_base(directory: &Path, replace: impl Fn(&str, &mut Vec<f32>)) {
    std::fs::create_dir_all(directory).unwrap();
    let config = format!(
        r#"{{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":{HIDDEN},
        "intermediate_size":{INNER},"num_hidden_layers":2,"num_attention_heads":2,
        "num_key_value_heads":1,"head_dim":8,"vocab_size":{VOCABULARY},"rms_norm_eps":1e-5,
        "rope_theta":10000.0,"max_position_embeddings":64,"tie_word_embeddings":false,
        "hidden_act":"silu","torch_dtype":"float32"}}"#
    );
    std::fs::write(directory.join("config.json"), config).unwrap();
    for name in [
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    ] {
        std::fs::write(directory.join(name), "{}").unwrap();
    }
    let mut shapes = vec![
        (
            "model.embed_tokens.weight".to_owned(),
            vec![VOCABULARY, HIDDEN],
        ),
        ("model.norm.weight".to_owned(), vec![HIDDEN]),
        ("lm_head.weight".to_owned(), vec![VOCABULARY, HIDDEN]),
    ];
    for layer in 0..2 {
        let mut add = |name: &str, shape: &[usize]| {
            shapes.push((
                format!("model.layers.{layer}.{name}.weight"),
                shape.to_vec(),
            ));
        };
        add("input_layernorm", &[HIDDEN]);
        add("post_attention_layernorm", &[HIDDEN]);
        add("self_attn.q_proj", &[16, HIDDEN]);
        add("self_attn.k_proj", &[8, HIDDEN]);
        add("self_attn.v_proj", &[8, HIDDEN]);
        add("self_attn.o_proj", &[HIDDEN, 16]);
        add("mlp.gate_proj", &[INNER, HIDDEN]);
        add("mlp.up_proj", &[INNER, HIDDEN]);
        add("mlp.down_proj", &[HIDDEN, INNER]);
    }
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32) / ((1_u64 << 23) as f32) - 1.0
    };
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = shapes
        .into_iter()
        .map(|(name, shape)| {
            let count = shape.iter().product();
            let is_norm = shape.len() == 1;
            let mut values: Vec<f32> = (0..count).map(|_| next() * 0.4).collect();
            if is_norm {
                for value in &mut values {
                    *value = 1.0 + *value * 0.1;
                }
            }
            replace(&name, &mut values);
            let bytes = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            (name, shape, bytes)
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (
            name.as_str(),
            TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
        )
    });
    safetensors::serialize_to_file(views, None, &directory.join("model.safetensors")).unwrap();
}
