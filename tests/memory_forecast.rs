//! What is forecast of a training's memory, beside what the program takes.

use serde_json::{Value, json};
use test_case::test_case;

use crate::support::golden::golden;
use crate::support::project::Project;

/// Forecast and measurement may differ by this share of what is measured.
const TOLERANCE: f64 = 0.15;

#[derive(Clone, Copy)]
struct Sizes {
    vocab: usize,
    hidden: usize,
    inner: usize,
    layers: usize,
    heads: usize,
    key_value_heads: usize,
}

const WIDE: Sizes = Sizes {
    vocab: 8192,
    hidden: 512,
    inner: 2048,
    layers: 6,
    heads: 8,
    key_value_heads: 4,
};
const LARGE_VOCABULARY: Sizes = Sizes {
    vocab: 65_536,
    hidden: 256,
    inner: 512,
    layers: 2,
    heads: 4,
    key_value_heads: 4,
};
const SMALL: Sizes = Sizes {
    vocab: 2048,
    hidden: 128,
    inner: 384,
    layers: 4,
    heads: 4,
    key_value_heads: 4,
};

#[test_case(WIDE, 2048, "method: lora\n"; "lora")]
#[test_case(WIDE, 1024, "method: lora\ngradient_checkpointing: false\n"; "all layers kept")]
#[test_case(WIDE, 2048, "method: qlora\n"; "qlora")]
#[test_case(WIDE, 512, "method: full\n"; "full")]
#[test_case(WIDE, 512, "method: full\noptim: adamw_8bit\n"; "full, states of 8 bits")]
#[test_case(LARGE_VOCABULARY, 2048, "method: qlora\n"; "large vocabulary")]
#[test_case(SMALL, 1024, "method: qlora\n"; "small")]
fn the_forecast_is_near_the_measured_peak(sizes: Sizes, tokens: usize, how: &str) {
    let project = Project::new();
    write_model(&project, sizes);
    project.write("train.jsonl", &conversation(tokens));
    let common = "model: base\ndataset: train.jsonl\noutput_dir: tuned\nmax_steps: 2\n\
                  gradient_accumulation_steps: 1\nexcess_length_strategy: truncate\nloss_chunk: 128\n";
    let config = format!("{common}max_length: {tokens}\n{how}");
    project.write("finetune_config.yaml", &config);
    let done = project.run(&["train"]);
    assert_eq!(done.code, 0, "{done:?}");
    let report: Value = serde_json::from_str(&project.read("tuned/finetune_report.json")).unwrap();
    let memory = &report["memory"];
    let bytes = |name: &str| memory[name].as_f64().unwrap();
    let (forecast, measured) = (bytes("predicted_peak_bytes"), bytes("measured_peak_bytes"));
    assert!(
        (forecast - measured).abs() < TOLERANCE * measured,
        "forecast {forecast}, measured {measured}: {memory:#}"
    );
}

/// An example of more tokens than that, nearly all of them learnt.
fn conversation(tokens: usize) -> String {
    let messages = json!([
        {"role": "user", "content": "Talk."},
        {"role": "assistant", "content": "A fox sees 7 dogs. ".repeat(tokens / 4)},
    ]);
    format!("{}\n", json!({ "messages": messages }))
}

/// Writes a checkpoint in `bf16` with values that are neither alike nor large, and a tokenizer.
fn write_model(project: &Project, sizes: Sizes) {
    let config = json!({
        "model_type": "llama",
        "vocab_size": sizes.vocab,
        "hidden_size": sizes.hidden,
        "intermediate_size": sizes.inner,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.key_value_heads,
        "max_position_embeddings": 4096,
    });
    std::fs::create_dir(project.path("base")).unwrap();
    project.write("base/config.json", &config.to_string());
    let tokenizer = golden("tokenizers/llama3");
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(tokenizer.join(name), project.path("base").join(name)).unwrap();
    }
    let template = golden("training_masks/templates/llama3.jinja");
    std::fs::copy(template, project.path("base/chat_template.jinja")).unwrap();
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, shape) in shapes(sizes) {
        let start = end;
        end += 2 * shape.iter().product::<usize>();
        let tensor = json!({"dtype": "BF16", "shape": shape, "data_offsets": [start, end]});
        header.insert(name, tensor);
    }
    let header = Value::from(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    // The upper half of a float is the same number in `bf16`.
    let values = (0..end / 2).map(|idx| ((idx * 7919 % 1000) as f32 - 500.0) / 10_000.0);
    file.extend(values.flat_map(|value| [value.to_le_bytes()[2], value.to_le_bytes()[3]]));
    std::fs::write(project.path("base/model.safetensors"), file).unwrap();
}

fn shapes(sizes: Sizes) -> Vec<(String, Vec<usize>)> {
    let Sizes { hidden, inner, .. } = sizes;
    let keys = hidden / sizes.heads * sizes.key_value_heads;
    let table = vec![sizes.vocab, hidden];
    let mut shapes = vec![
        ("model.embed_tokens.weight".to_owned(), table.clone()),
        ("lm_head.weight".to_owned(), table),
        ("model.norm.weight".to_owned(), vec![hidden]),
    ];
    for layer in 0..sizes.layers {
        let of_layer = [
            ("input_layernorm", vec![hidden]),
            ("post_attention_layernorm", vec![hidden]),
            ("self_attn.q_proj", vec![hidden, hidden]),
            ("self_attn.k_proj", vec![keys, hidden]),
            ("self_attn.v_proj", vec![keys, hidden]),
            ("self_attn.o_proj", vec![hidden, hidden]),
            ("mlp.gate_proj", vec![inner, hidden]),
            ("mlp.up_proj", vec![inner, hidden]),
            ("mlp.down_proj", vec![hidden, inner]),
        ];
        let named =
            of_layer.map(|(name, shape)| (format!("model.layers.{layer}.{name}.weight"), shape));
        shapes.extend(named);
    }
    shapes
}
