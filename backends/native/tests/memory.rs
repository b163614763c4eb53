//! What is predicted of memory, beside what a process takes.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use half::bf16;
use safetensors::tensor::{Dtype, TensorView};
use shipworthy_datasets::TokenisedExample;
use shipworthy_models::{Checkpoint, ModelConfig};
use shipworthy_native::memory_plan::{
    Memory, MemoryPlan, MemoryQuestion, OptimizerStates, Place, Trained,
};
use shipworthy_native::{
    Adaptation, Batch, Compute, Decoder, Gradients, LoraOptions, Nf4Options, Pass,
};
use test_case::test_case;

/// Names the case that a child of this process is to run, and its model.
const CASE: &str = "SHIPWORTHY_MEMORY_CASE";
const MODEL: &str = "SHIPWORTHY_MEMORY_MODEL";

/// Prediction and measurement may differ by this share,
const TOLERANCE: f64 = 0.15;
/// and by what the allocator keeps for itself.
const SLACK: u64 = 16 << 20;

const RANK: usize = 16;
const LOSS_CHUNK: usize = 128;

#[derive(Clone, Copy)]
struct Case {
    sizes: &'static str,
    tokens: usize,
    nf4: bool,
    is_full: bool,
    checkpointing: bool,
}

const WIDE: &str = r#"{"model_type":"llama","vocab_size":8192,"hidden_size":512,"intermediate_size":2048,"num_hidden_layers":6,"num_attention_heads":8,"num_key_value_heads":4,"max_position_embeddings":4096}"#;
const LARGE_VOCABULARY: &str = r#"{"model_type":"llama","vocab_size":65536,"hidden_size":256,"intermediate_size":512,"num_hidden_layers":2,"num_attention_heads":4,"max_position_embeddings":4096}"#;

const LORA: Case = Case {
    sizes: WIDE,
    tokens: 2048,
    nf4: false,
    is_full: false,
    checkpointing: true,
};

const CASES: [Case; 6] = [
    LORA,
    Case {
        tokens: 1024,
        checkpointing: false,
        ..LORA
    },
    Case { nf4: true, ..LORA },
    Case {
        tokens: 512,
        is_full: true,
        ..LORA
    },
    Case {
        sizes: LARGE_VOCABULARY,
        nf4: true,
        ..LORA
    },
    Case {
        tokens: 1024,
        nf4: true,
        checkpointing: false,
        ..LORA
    },
];

#[test_case(0; "lora")]
#[test_case(1; "all layers kept")]
#[test_case(2; "qlora")]
#[test_case(3; "full")]
#[test_case(4; "large vocabulary")]
#[test_case(5; "qlora, all layers kept")]
fn prediction_is_near_the_measured_peak(idx: usize) {
    let directory = tempfile::tempdir().unwrap();
    write_model(directory.path(), CASES[idx].sizes);
    // The peak of a process does not fall again: every case has a process of its own.
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "one_pass", "--nocapture", "--ignored"])
        .env(CASE, idx.to_string())
        .env(MODEL, directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout).into_owned();
    let measured = text.lines().find_map(|line| line.strip_prefix("peak "));
    let measured: u64 = measured
        .unwrap_or_else(|| panic!("{child:?}"))
        .parse()
        .unwrap();
    let plan = prediction(&CASES[idx], directory.path());
    let predicted = plan.peak_bytes(Memory::Host);
    let difference = (measured as f64 - predicted as f64).abs();
    assert!(
        difference < TOLERANCE * measured as f64 + SLACK as f64,
        "predicted {predicted}, measured {measured}: {:#?}",
        plan.parts
    );
}

/// Runs in a process of its own.
#[test]
#[ignore = "run by the test above"]
fn one_pass() {
    let case = CASES[std::env::var(CASE).unwrap().parse::<usize>().unwrap()];
    let model = std::env::var(MODEL).unwrap();
    let checkpoint = Arc::new(Checkpoint::open(Path::new(&model)).unwrap());
    let quantisation = case.nf4.then_some(Nf4Options { double_quant: true });
    let adaptation = if case.is_full {
        Adaptation::Full
    } else {
        Adaptation::Lora(LoraOptions {
            dropout: 0.05,
            ..LoraOptions::new(RANK, 32.0)
        })
    };
    let compute = Compute::host(quantisation);
    let decoder = Decoder::load(&checkpoint, &adaptation, &compute, 1, &mut |_, _| ()).unwrap();
    let vocab = decoder.hyper_parameters().vocab_size;
    let tokens = 0..u32::try_from(case.tokens).unwrap();
    let tokens: Vec<u32> = tokens.map(|idx| idx * 7919 % vocab).collect();
    let example = TokenisedExample {
        id: String::new(),
        labelled: vec![true; tokens.len()],
        tokens,
    };
    let batch = Batch::new([(&example, 1)]);
    let mut gradients = Gradients::new(decoder.parameters());
    let pass = Pass {
        gradient_scale: 1.0 / case.tokens as f64,
        dropout_seed: Some(1),
        checkpointing: case.checkpointing,
        loss_chunk: LOSS_CHUNK,
    };
    for _ in 0..2 {
        decoder.accumulate(&batch, &pass, &mut gradients).unwrap();
    }
    println!("\npeak {}", peak_bytes());
}

fn prediction(case: &Case, directory: &Path) -> MemoryPlan {
    let config = ModelConfig::read(directory).unwrap();
    let model = config.hyper_parameters().unwrap();
    let tokens = case.tokens as u64;
    let trained = if case.is_full {
        Trained::Full
    } else {
        Trained::Lora {
            r: RANK as u64,
            target_modules: None,
            modules_to_save: &[],
        }
    };
    MemoryPlan::predict(&MemoryQuestion {
        family: config.family(),
        model: &model,
        stored_bytes: 2,
        place: Place::Cpu,
        nf4: case.nf4.then_some(true),
        trained,
        batch_size: 1,
        batch_tokens: tokens,
        labelled_tokens: tokens,
        sequence_tokens: tokens,
        checkpointing: case.checkpointing,
        loss_chunk: LOSS_CHUNK as u64,
        // There is none in a pass.
        optimizer: OptimizerStates::Without,
        threads: std::thread::available_parallelism().unwrap().get() as u64,
    })
}

/// Returns the most memory this process has had, as the system counts it.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.unwrap().trim().trim_end_matches("kB").trim();
    kibibytes.parse::<u64>().unwrap() << 10
}

/// Writes a checkpoint in `bf16` with values that are neither alike nor large.
fn write_model(directory: &Path, sizes: &str) {
    std::fs::write(directory.join("config.json"), sizes).unwrap();
    let config = ModelConfig::read(directory).unwrap();
    let model = config.hyper_parameters().unwrap();
    let [hidden, inner] = [model.hidden_size, model.intermediate_size].map(|size| size as usize);
    let width = model.head_dim as usize;
    let queries = model.num_attention_heads as usize * width;
    let keys = model.num_key_value_heads as usize * width;
    let vocab = model.vocab_size as usize;
    let mut shapes = vec![
        ("model.embed_tokens.weight".to_owned(), vec![vocab, hidden]),
        ("lm_head.weight".to_owned(), vec![vocab, hidden]),
        ("model.norm.weight".to_owned(), vec![hidden]),
    ];
    for layer in 0..model.num_hidden_layers {
        let of_layer = [
            ("input_layernorm", vec![hidden]),
            ("post_attention_layernorm", vec![hidden]),
            ("self_attn.q_proj", vec![queries, hidden]),
            ("self_attn.k_proj", vec![keys, hidden]),
            ("self_attn.v_proj", vec![keys, hidden]),
            ("self_attn.o_proj", vec![hidden, queries]),
            ("mlp.gate_proj", vec![inner, hidden]),
            ("mlp.up_proj", vec![inner, hidden]),
            ("mlp.down_proj", vec![hidden, inner]),
        ];
        let named =
            of_layer.map(|(name, shape)| (format!("model.layers.{layer}.{name}.weight"), shape));
        shapes.extend(named);
    }
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = shapes
        .into_iter()
        .map(|(name, shape)| {
            let count = shape.iter().product();
            let values = (0..count).map(|idx| ((idx * 7919 % 1000) as f32 - 500.0) / 10_000.0);
            let bytes = values.flat_map(|value| bf16::from_f32(value).to_le_bytes());
            (name, shape, bytes.collect())
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::BF16, shape.clone(), bytes).unwrap();
        (name, view)
    });
    let path = directory.join("model.safetensors");
    safetensors::serialize_to_file(views, None, &path).unwrap();
}
