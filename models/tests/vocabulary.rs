//! Holds vocabularies against what llama.cpp's converter writes for the same tokenizers.
//!
//! The data, the versions and the script that made them lie in `tests/golden/tokenizers`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use shipworthy_models::{
    Family, SpecialToken, TokenKind, Vocabulary, VocabularyModel, VocabularyValue,
};
use test_case::test_case;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/golden/tokenizers")
        .join(name)
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn vocabulary(name: &str, family: Family) -> Vocabulary {
    let size = read_json(&folder(name).join("config.json"))["vocab_size"]
        .as_u64()
        .unwrap();
    Vocabulary::read(&folder(name), family, usize::try_from(size).unwrap()).unwrap()
}

/// Returns keys, types and values as the golden data has them.
fn entries(vocabulary: &Vocabulary, template: Option<&Value>) -> Vec<Value> {
    let entry =
        |key: &str, kind: &str, value: Value| json!({"key": key, "type": kind, "value": value});
    let entries = vocabulary
        .metadata()
        .into_iter()
        .filter_map(|(key, value)| {
            Some(match value {
                VocabularyValue::String(text) => entry(key, "string", json!(text)),
                VocabularyValue::Bool(value) => entry(key, "bool", json!(value)),
                VocabularyValue::Id(id) => entry(key, "uint32", json!(id)),
                VocabularyValue::Strings(texts) => entry(key, "array", json!(texts)),
                VocabularyValue::Scores(scores) => entry(key, "array", json!(scores)),
                VocabularyValue::Kinds(kinds) => entry(key, "array", json!(kinds)),
                // Who writes the template is tested elsewhere; where it stands is tested here.
                VocabularyValue::ChatTemplate => template?.clone(),
            })
        });
    entries.collect()
}

fn golden(name: &str) -> Vec<Value> {
    let golden = read_json(&folder(name).join("metadata.json"));
    golden.as_array().unwrap().clone()
}

fn find<'a>(entries: &'a [Value], key: &str) -> Option<&'a Value> {
    entries.iter().find(|entry| entry["key"] == key)
}

#[test_case("llama2", Family::Llama)]
#[test_case("gemma3", Family::Gemma3)]
#[test_case("llama3", Family::Llama)]
#[test_case("qwen2", Family::Qwen2)]
#[test_case("qwen2", Family::Qwen3; "qwen3")]
#[test_case("tekken", Family::Mistral)]
fn metadata_is_the_converters(name: &str, family: Family) {
    let golden = golden(name);
    let template = find(&golden, "tokenizer.chat_template");
    let found = entries(&vocabulary(name, family), template);
    for (found, expected) in found.iter().zip(&golden) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), golden.len());
}

/// Without `tokenizer.model` the converter writes a vocabulary that llama.cpp reads other ids with.
#[test_case("llama2_json", Family::Llama)]
#[test_case("mistral_json", Family::Mistral)]
fn without_tokenizer_model_only_scores_and_kinds_are_others(name: &str, family: Family) {
    let golden = golden(name);
    let template = find(&golden, "tokenizer.chat_template");
    let vocabulary = vocabulary(name, family);
    let found = entries(&vocabulary, template);
    let keys = |entries: &[Value]| -> Vec<String> {
        entries
            .iter()
            .map(|entry| entry["key"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(keys(&found), keys(&golden));
    for (found, expected) in found.iter().zip(&golden) {
        let key = found["key"].as_str().unwrap();
        let count = expected["value"].as_array().map_or(0, Vec::len);
        match key {
            "tokenizer.ggml.scores" => {}
            "tokenizer.ggml.token_type" => {
                let tokens = vocabulary.tokens().iter().enumerate().take(count);
                let differing: Vec<(&str, i32)> = tokens
                    .filter(|(id, token)| expected["value"][id] != token.kind as i32)
                    .map(|(_, token)| (token.text.as_str(), token.kind as i32))
                    .collect();
                // Control tokens that the converter takes for text.
                let expected: &[(&str, i32)] = match name {
                    "llama2_json" => &[("<|im_start|>", 3), ("<|im_end|>", 3)],
                    _ => &[
                        ("[INST]", 3),
                        ("[/INST]", 3),
                        ("[TOOL_CALLS]", 3),
                        ("[control_8]", 3),
                    ],
                };
                assert_eq!(differing, expected);
            }
            "tokenizer.ggml.tokens" => {
                // Rows of the embedding without a token, which the converter forgets here.
                let found = found["value"].as_array().unwrap();
                assert_eq!(&found[..count], expected["value"].as_array().unwrap());
                let rest = (count..).zip(&found[count..]);
                for (id, text) in rest {
                    assert_eq!(*text, format!("[PAD{id}]"));
                }
            }
            _ => assert_eq!(found, expected),
        }
    }
}

/// `tokenizer.json` alone gives the tokens, kinds and scores that `tokenizer.model` gives.
#[test_case("llama2_json", "llama2", Family::Llama)]
#[test_case("gemma3_json", "gemma3", Family::Gemma3)]
fn tokenizer_json_says_what_tokenizer_model_does(name: &str, with_model: &str, family: Family) {
    let alone = vocabulary(name, family);
    let with_model = vocabulary(with_model, family);
    assert_eq!(alone.model(), VocabularyModel::Llama);
    assert_eq!((alone.pre(), alone.unlisted_merges()), ("default", 0));
    assert_eq!(alone.add_bos(), Some(true));
    assert_eq!(alone.add_space_prefix(), with_model.add_space_prefix());
    for (found, expected) in alone.tokens().iter().zip(with_model.tokens()) {
        assert_eq!(found, expected);
    }
    assert_eq!(alone.tokens().len(), with_model.tokens().len());
}

#[test]
fn roles_are_read() {
    let vocabulary = vocabulary("llama3", Family::Llama);
    let eos = vocabulary.special(SpecialToken::Eos).unwrap() as usize;
    assert_eq!(vocabulary.tokens()[eos].text, "<|eot_id|>");
    assert_eq!(vocabulary.tokens()[eos].kind, TokenKind::Control);
    assert_eq!(vocabulary.special(SpecialToken::Padding), None);
    assert_eq!(
        (vocabulary.add_bos(), vocabulary.add_eos()),
        (Some(true), Some(false))
    );
}
