use shipworthy_models::value_counts::ValueCounts;
use shipworthy_models::{Family, HyperParameters, ModelConfig};
use test_case::test_case;

use super::weights::trained_values;
use super::*;

const LLAMA_3_8B: &str = r#"{"model_type":"llama","vocab_size":128256,"hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,"max_position_embeddings":8192}"#;
const QWEN_2_5_500M: &str = r#"{"model_type":"qwen2","vocab_size":151936,"hidden_size":896,"intermediate_size":4864,"num_hidden_layers":24,"num_attention_heads":14,"num_key_value_heads":2,"max_position_embeddings":32768,"tie_word_embeddings":true}"#;
const QWEN_3_14B: &str = r#"{"model_type":"qwen3","vocab_size":151936,"hidden_size":5120,"intermediate_size":17408,"num_hidden_layers":40,"num_attention_heads":40,"num_key_value_heads":8,"head_dim":128,"max_position_embeddings":40960}"#;
const GEMMA_3_1B: &str = r#"{"model_type":"gemma3_text","vocab_size":262144,"hidden_size":1152,"intermediate_size":6912,"num_hidden_layers":26,"num_attention_heads":4,"num_key_value_heads":1,"head_dim":256}"#;
const GEMMA_3_12B: &str = r#"{"model_type":"gemma3","text_config":{"vocab_size":262208,"hidden_size":3840,"intermediate_size":15360,"num_hidden_layers":48,"num_attention_heads":16,"num_key_value_heads":8,"head_dim":256}}"#;

fn model(text: &str) -> (Family, HyperParameters) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("config.json"), text).unwrap();
    let config = ModelConfig::read(directory.path()).unwrap();
    (config.family(), config.hyper_parameters().unwrap())
}

/// QLoRA of rank 16 on a card, two sequences of 2,048.
fn question((family, model): &(Family, HyperParameters)) -> MemoryQuestion<'_> {
    MemoryQuestion {
        family: *family,
        model,
        stored_bytes: 2,
        place: Place::Cuda,
        nf4: Some(true),
        trained: Trained::Lora {
            r: 16,
            target_modules: None,
            modules_to_save: &[],
        },
        batch_size: 2,
        distinct_tokens: u64::MAX,
        batch_tokens: 4096,
        labelled_tokens: 4096,
        sequence_tokens: 2048,
        checkpointing: true,
        loss_chunk: 128,
        optimizer: OptimizerStates::F32,
        threads: 2,
    }
}

#[test_case(LLAMA_3_8B, 8_030_261_248; "Llama 3 8B")]
#[test_case(QWEN_2_5_500M, 494_032_768; "Qwen 2.5 0.5B")]
#[test_case(QWEN_3_14B, 14_768_307_200; "Qwen 3 14B")]
#[test_case(GEMMA_3_1B, 999_885_952; "Gemma 3 1B")]
fn values_are_those_of_published_models(text: &str, expected: u64) {
    let (family, model) = model(text);
    assert_eq!(ValueCounts::of(family, &model).all(), expected);
}

#[test]
fn trained_values_are_those_that_peft_counts() {
    let llama = model(LLAMA_3_8B);
    let all = question(&llama);
    assert_eq!(trained_values(&all).0, 41_943_040);
    let names = ["q_proj".to_owned(), "v_proj".to_owned()];
    let trained = |modules_to_save| Trained::Lora {
        r: 16,
        target_modules: Some(&names),
        modules_to_save,
    };
    let of = |trained| trained_values(&MemoryQuestion { trained, ..all });
    assert_eq!(of(trained(&[])).0, 6_815_744);
    let head = ["lm_head".to_owned()];
    assert_eq!(
        of(trained(&head)),
        (6_815_744 + 128_256 * 4096, 128_256 * 4096)
    );
    assert_eq!(of(Trained::Full).0, 8_030_261_248);
}

#[test_case(LLAMA_3_8B, 8.4; "Llama 3")]
#[test_case(QWEN_3_14B, 10.0; "Qwen 3")]
#[test_case(GEMMA_3_12B, 17.2; "Gemma 3")]
fn plain_logits_are_what_is_said_of_them(text: &str, gigabytes: f64) {
    let (_, model) = model(text);
    let bytes = plain_logits_bytes(model.vocab_size.into(), 16 * 1024);
    assert!((bytes as f64 / 1e9 - gigabytes).abs() < 0.05, "{bytes}");
}

#[test]
fn eight_billion_weights_in_four_bits_fit_a_card_of_8_gib() {
    let llama = model(LLAMA_3_8B);
    let peak = MemoryPlan::predict(&question(&llama)).peak_bytes(Memory::Card);
    assert!(peak < 15 << 29, "{peak}");
}

#[test]
fn phases_take_turns() {
    let part = |bytes, phase| MemoryPart {
        name: "",
        bytes,
        memory: Memory::Card,
        phase,
        is_mapped: bytes == 1,
    };
    let plan = MemoryPlan {
        parts: vec![
            part(1, Phase::Throughout),
            part(10, Phase::Pass),
            part(100, Phase::Loss),
            part(200, Phase::Layer),
            part(209, Phase::Update),
        ],
    };
    assert_eq!(plan.peak_bytes(Memory::Card), 211);
    assert_eq!(plan.peak_bytes(Memory::Host), 0);
    assert_eq!(plan.mapped_bytes(Memory::Card), 1);
}

#[test]
fn chunks_make_the_loss_small_beside_the_rest() {
    let gemma = model(GEMMA_3_12B);
    let long = MemoryQuestion {
        batch_size: 1,
        batch_tokens: 16 * 1024,
        labelled_tokens: 16 * 1024,
        sequence_tokens: 16 * 1024,
        ..question(&gemma)
    };
    let plan = MemoryPlan::predict(&long);
    let logits = plan.parts.iter().find(|part| part.phase == Phase::Loss);
    let plain = plain_logits_bytes(gemma.1.vocab_size.into(), 16 * 1024);
    assert!(logits.unwrap().bytes < plain / 20, "{logits:?}");
    assert!(plan.peak_bytes(Memory::Card) < 24 << 30, "{plan:?}");
}

#[test]
fn every_knob_does_what_it_says() {
    let llama = model(LLAMA_3_8B);
    let wasteful = MemoryQuestion {
        nf4: None,
        checkpointing: false,
        ..question(&llama)
    };
    let knobs = Knob::all(&wasteful, Memory::Card);
    let keys: Vec<&str> = knobs.iter().map(|knob| knob.key).collect();
    assert_eq!(keys[0], "gradient_checkpointing");
    for key in [
        "per_device_train_batch_size",
        "max_length",
        "method",
        "lora_r",
    ] {
        assert!(keys.contains(&key), "{keys:?}");
    }
    // The states are in the host's memory.
    assert!(!keys.contains(&"optim"), "{keys:?}");
    assert!(knobs.is_sorted_by_key(|knob| std::cmp::Reverse(knob.saved_bytes)));
    let checkpointed = MemoryQuestion {
        checkpointing: true,
        ..wasteful
    };
    let peak = |question| MemoryPlan::predict(question).peak_bytes(Memory::Card);
    let saved = peak(&wasteful) - peak(&checkpointed);
    assert_eq!(knobs[0].saved_bytes, saved);
    let on_host = Knob::all(&wasteful, Memory::Host);
    assert_eq!(on_host[0].key, "optim", "{on_host:?}");
}

#[test]
fn impossible_sizes_overflow_nothing() {
    let text = r#"{"model_type":"llama","vocab_size":2147483647,"hidden_size":2147483646,"intermediate_size":2147483647,"num_hidden_layers":10000,"num_attention_heads":2147483646,"head_dim":2147483646,"max_position_embeddings":64}"#;
    let huge = model(text);
    let huge = MemoryQuestion {
        batch_tokens: u64::MAX,
        labelled_tokens: u64::MAX,
        sequence_tokens: u64::MAX,
        batch_size: u64::MAX,
        ..question(&huge)
    };
    let plan = MemoryPlan::predict(&huge);
    assert_eq!(plan.peak_bytes(Memory::Card), u64::MAX);
    let _ = Knob::all(&huge, Memory::Card);
}
