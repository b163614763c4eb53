//! Converted checkpoints in llama.cpp beside transformers: logits and token ids.
//!
//! What transformers gives, with the versions and the scripts, lies in `tests/golden/conversion` and
//! `tests/golden/tokenizers`.
#![cfg(feature = "embedded")]
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[path = "../../models/tests/support/mod.rs"]
mod support;

use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::LazyLock;

use llama_cpp_2::context::params::{KvCacheType, LlamaContextParams};
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token_type::LlamaTokenAttr;
use llama_cpp_2::{LogOptions, send_logs_to_tracing};
use serde::Deserialize;
use shipworthy_models::gguf::Existing;
use shipworthy_models::{Checkpoint, ConvertOptions, FileType, convert};
use support::Golden;
use test_case::test_case;

static BACKEND: LazyLock<LlamaBackend> = LazyLock::new(|| {
    send_logs_to_tracing(LogOptions::default().with_logs_enabled(false));
    LlamaBackend::init().unwrap()
});

/// Converts a golden checkpoint and opens the file with llama.cpp.
fn opened(name: &str, golden: &Golden, directory: &Path) -> LlamaModel {
    let checkpoint = golden.write_checkpoint(name, directory);
    let output = directory.join("model.gguf");
    let options = ConvertOptions {
        output: output.clone(),
        file_type: FileType::F32,
        existing: Existing::Keep,
        tokenizer: None,
    };
    let base = Checkpoint::open(&checkpoint).unwrap();
    convert(&base, None, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    let params = LlamaModelParams::default().with_n_gpu_layers(0);
    LlamaModel::load_from_file(&BACKEND, &output, &params).unwrap()
}

/// Returns the logits after a prompt.
fn logits(model: &LlamaModel, prompt: &[i32]) -> Vec<f32> {
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(256))
        .with_flash_attention_policy(0)
        .with_type_k(KvCacheType::F32)
        .with_type_v(KvCacheType::F32)
        .with_n_threads(1)
        .with_n_threads_batch(1);
    let mut context = model.new_context(&BACKEND, params).unwrap();
    let mut batch = LlamaBatch::new(prompt.len(), 1);
    for (position, id) in prompt.iter().enumerate() {
        let is_last = position + 1 == prompt.len();
        let position = i32::try_from(position).unwrap();
        batch.add(LlamaToken(*id), position, &[0], is_last).unwrap();
    }
    context.decode(&mut batch).unwrap();
    context.get_logits_ith(batch.n_tokens() - 1).to_vec()
}

fn best(logits: &[f32]) -> usize {
    let (idx, _) = logits
        .iter()
        .enumerate()
        .max_by(|(_, one), (_, other)| one.total_cmp(other))
        .unwrap();
    idx
}

#[test_case("llama2")]
#[test_case("llama3")]
#[test_case("mistral")]
#[test_case("mistral_json")]
#[test_case("qwen2")]
#[test_case("qwen3")]
#[test_case("gemma3")]
fn logits_are_those_of_transformers(name: &str) {
    let directory = tempfile::tempdir().unwrap();
    let golden = Golden::read(name);
    let model = opened(name, &golden, directory.path());
    let file = support::folder().join(format!("conversion/{name}.logits"));
    let bytes = std::fs::read(file).unwrap();
    let expected: Vec<f32> = bytes
        .as_chunks()
        .0
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes))
        .collect();
    assert_eq!(golden.prompts.len(), 20);
    let vocabulary = expected.len() / golden.prompts.len();
    for (prompt, expected) in golden.prompts.iter().zip(expected.chunks(vocabulary)) {
        let found = logits(&model, prompt);
        assert_eq!(found.len(), expected.len());
        let furthest = found
            .iter()
            .zip(expected)
            .map(|(found, expected)| (found - expected).abs())
            .fold(0.0, f32::max);
        assert!(furthest <= 2e-3, "{} tokens: {furthest}", prompt.len());
        assert_eq!(best(&found), best(expected), "{} tokens", prompt.len());
    }
    // The comparison can fail: another prompt's logits are others.
    let other = logits(&model, &golden.prompts[1]);
    let differs = other
        .iter()
        .zip(&expected)
        .any(|(one, other)| (one - other).abs() > 0.1);
    assert!(differs);
}

/// A text and its ids; `llama_cpp` says why llama.cpp gives others, where no file could help.
#[derive(Deserialize)]
struct Ids {
    text: String,
    #[serde(rename = "ids")]
    plain: Vec<i32>,
    with_special: Vec<i32>,
    llama_cpp: Option<String>,
}

fn spaced(text: &str) -> String {
    text.replace('\u{2581}', " ")
}

#[test_case("llama2", "llama2")]
#[test_case("llama3", "llama3")]
#[test_case("mistral", "tekken")]
#[test_case("mistral_json", "mistral_json")]
#[test_case("qwen2", "qwen2")]
#[test_case("gemma3", "gemma3")]
fn ids_are_those_of_transformers(name: &str, tokenizer: &str) {
    let directory = tempfile::tempdir().unwrap();
    let golden = Golden::read(name);
    assert_eq!(golden.tokenizer, tokenizer);
    let model = opened(name, &golden, directory.path());
    let vocab = model.vocab();
    let file = support::folder().join(format!("tokenizers/{tokenizer}/ids.json"));
    let texts: Vec<Ids> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert!(texts.len() > 30);
    for expected in &texts {
        let text = expected.text.as_bytes();
        let ids = |with_special| -> Vec<i32> {
            let tokens = vocab.tokenize(text, with_special, true);
            tokens.iter().map(|token| token.0).collect()
        };
        let (plain, with_special) = (ids(false), ids(true));
        let same = (&plain, &with_special) == (&expected.plain, &expected.with_special);
        assert_eq!(
            same,
            expected.llama_cpp.is_none(),
            "{:?}: {plain:?} and {with_special:?}, expected {:?} and {:?}",
            expected.text,
            expected.plain,
            expected.with_special
        );
        // And back again, as it would be generated.
        let pieces = plain
            .iter()
            .flat_map(|&id| vocab.token_to_piece(LlamaToken(id), true, None));
        let back = String::from_utf8(pieces.collect()).unwrap();
        let is_added = |id: &i32| {
            let attributes = vocab.attr(LlamaToken(*id));
            attributes.contains(LlamaTokenAttr::Control)
                || attributes.contains(LlamaTokenAttr::UserDefined)
        };
        let has_added = plain.iter().any(is_added);
        // SentencePiece writes a space as this, begins with one, and puts one behind added tokens.
        let (back, text) = (spaced(&back), spaced(&expected.text));
        let same = back == text || back.strip_prefix(' ') == Some(&text);
        assert!(same || has_added, "{back:?}, {text:?}");
    }
}
