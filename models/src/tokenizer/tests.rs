use std::path::Path;

use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Value, json};
use test_case::test_case;

use super::definition::Definition;
use super::sentencepiece_model::{ModelProto, Piece, TrainerSpec};
use super::tokenizer_json::TokenizerJson;
use super::*;
use crate::Family;

const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

fn byte_level(use_regex: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "use_regex": use_regex})
}

fn split(expression: &str) -> Value {
    let pattern = json!({"Regex": expression});
    let split =
        json!({"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false});
    json!({"type": "Sequence", "pretokenizers": [split, byte_level(false)]})
}

/// A byte-level tokenizer of three tokens, a merge and an added token.
fn small() -> Value {
    json!({
        "normalizer": null,
        "pre_tokenizer": split(QWEN2),
        "post_processor": {"type": "ByteLevel"},
        "added_tokens": [{"id": 3, "content": "<|end|>", "special": true}],
        "model": {
            "type": "BPE",
            "vocab": {"a": 0, "b": 1, "ab": 2},
            "merges": [["a", "b"]],
            "byte_fallback": false,
        },
    })
}

/// A SentencePiece-like one, with tokens that are and are not what merges make.
fn small_sentencepiece() -> Value {
    json!({
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": null,
        "model": {
            "type": "BPE",
            "vocab": {"<unk>": 0, "<0x41>": 1, "a": 2, "b": 3, "c": 4, "bc": 5, "ab": 6, "abc": 7},
            "merges": ["a b", "b c", "ab c"],
            "byte_fallback": true,
        },
        "added_tokens": [{"id": 0, "content": "<unk>", "special": true}],
    })
}

fn at(value: &mut Value, pointer: &str, to: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    value.pointer_mut(parent).unwrap()[key] = to;
}

fn changed(mut value: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, to) in changes {
        at(&mut value, pointer, to.clone());
    }
    value
}

fn write(directory: &Path, name: &str, value: &Value) {
    std::fs::write(directory.join(name), value.to_string()).unwrap();
}

fn read(files: &[(&str, &Value)], family: Family, size: usize) -> Result<Vocabulary, String> {
    let directory = tempfile::tempdir().unwrap();
    for (name, value) in files {
        write(directory.path(), name, value);
    }
    let place = directory.path().display().to_string();
    Vocabulary::read(directory.path(), family, size)
        .map_err(|error| error.to_string().replace(&place, "."))
}

fn read_json(value: &Value, size: usize) -> Result<Vocabulary, String> {
    read(&[("tokenizer.json", value)], Family::Llama, size)
}

fn recognised(value: &Value) -> Result<Definition, String> {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "tokenizer.json", value);
    let json = TokenizerJson::read(directory.path()).unwrap().unwrap();
    Definition::recognise(&json).map_err(|error| error.to_string())
}

fn digits() -> Value {
    json!({"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": true}, byte_level(true),
    ]})
}

#[test_case(&[], "qwen2"; "qwen2")]
#[test_case(&[("/normalizer", json!({"type": "NFC"}))], "qwen2"; "qwen2 composing")]
#[test_case(&[("/pre_tokenizer", split(LLAMA3)), ("/model/ignore_merges", json!(true))], "llama-bpe"; "llama3")]
#[test_case(&[("/pre_tokenizer", split(LLAMA3))], "smaug-bpe"; "llama3 by merges only")]
#[test_case(&[("/pre_tokenizer", byte_level(true))], "gpt-2"; "gpt2")]
#[test_case(&[("/pre_tokenizer", json!({"type": "ByteLevel", "add_prefix_space": false}))], "gpt-2"; "gpt2 by what is usual")]
#[test_case(&[("/pre_tokenizer", digits())], "smollm"; "smollm")]
#[test_case(&[("/pre_tokenizer/pretokenizers/0/behavior", json!("Removed")), ("/pre_tokenizer/pretokenizers/0/invert", json!(true))], "qwen2"; "matches kept by another name")]
fn byte_level_definitions_are_known(changes: &[(&str, Value)], expected: &str) {
    let found = recognised(&changed(small(), changes)).unwrap();
    assert!(
        matches!(found, Definition::ByteLevel { pre } if pre == expected),
        "{found:?}"
    );
}

#[test_case(&[("/normalizer", json!({"type": "NFKC"}))]; "another normaliser")]
#[test_case(&[("/pre_tokenizer", split(r"\p{L}+|\s+"))]; "another expression")]
#[test_case(&[("/pre_tokenizer", split(&QWEN2.replace("'s|", "")))]; "one alternative less")]
#[test_case(&[("/pre_tokenizer", json!(null))]; "none")]
#[test_case(&[("/pre_tokenizer", json!({"type": "Whitespace"}))]; "white space")]
#[test_case(&[("/pre_tokenizer/pretokenizers/0/behavior", json!("Removed"))]; "matches removed")]
#[test_case(&[("/pre_tokenizer/pretokenizers/1/add_prefix_space", json!(true))]; "a space before text")]
#[test_case(&[("/pre_tokenizer/pretokenizers/1/use_regex", json!(true))]; "two expressions")]
#[test_case(&[("/pre_tokenizer/pretokenizers", json!([]))]; "an empty sequence")]
#[test_case(&[("/model/ignore_merges", json!(true))]; "qwen2 taking tokens whole")]
#[test_case(&[("/normalizer", json!({"type": "NFC"})), ("/pre_tokenizer", byte_level(true))]; "gpt2 composing")]
fn other_byte_level_definitions_are_shown(changes: &[(&str, Value)]) {
    let error = recognised(&changed(small(), changes)).unwrap_err();
    let known = "known are llama-bpe, smaug-bpe, qwen2, tekken, gpt-2, smollm, SentencePiece's";
    for part in [
        "tokenizer.json`, `pre_tokenizer`: {\"normalizer\":",
        known,
        "`default`",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

fn metaspace(scheme: &str) -> Value {
    json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false})
}

#[test_case(&[], Some(false); "as gemma")]
#[test_case(&[("/pre_tokenizer", json!({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false}))], Some(false); "as gemma with a split that finds nothing")]
#[test_case(&[("/normalizer", json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}))], Some(true); "as llama 2")]
#[test_case(&[("/normalizer", json!(null)), ("/pre_tokenizer", metaspace("first"))], Some(true); "as transformers 5")]
#[test_case(&[("/normalizer", json!(null)), ("/pre_tokenizer", metaspace("never"))], Some(false); "without a space")]
#[test_case(&[("/normalizer", json!(null))], None; "spaces kept")]
#[test_case(&[("/normalizer/content", json!("_"))], None; "spaces spelt otherwise")]
#[test_case(&[("/normalizer", json!(null)), ("/pre_tokenizer", metaspace("sometimes"))], None; "an unknown scheme")]
#[test_case(&[("/pre_tokenizer", metaspace("first"))], None; "spaces spelt twice")]
#[test_case(&[("/model/ignore_merges", json!(true))], None; "tokens taken whole")]
fn sentencepiece_definitions_are_known(changes: &[(&str, Value)], space: Option<bool>) {
    let found = recognised(&changed(small_sentencepiece(), changes)).ok();
    let expected = space.map(|space_prefix| Definition::SentencePiece { space_prefix });
    assert_eq!(found, expected);
}

#[test]
fn scores_are_in_the_order_of_merges() {
    let vocabulary = read_json(&small_sentencepiece(), 9).unwrap();
    let found: Vec<(&str, i32, f32)> = vocabulary
        .tokens()
        .iter()
        .map(|token| (token.text.as_str(), token.kind as i32, token.score.unwrap()))
        .collect();
    let expected = [
        ("<unk>", 3, -1000.0),
        ("<0x41>", 6, 0.0),
        ("a", 1, -3.0),
        ("b", 1, -4.0),
        ("c", 1, -5.0),
        ("bc", 1, -1.0),
        ("ab", 1, 0.0),
        ("abc", 1, -2.0),
        ("[PAD8]", 5, -10000.0),
    ];
    assert_eq!(found, expected);
    // llama.cpp would also merge `a` and `bc`.
    assert_eq!(vocabulary.unlisted_merges(), 1);
    assert_eq!(vocabulary.add_space_prefix(), Some(false));
    let mut whole = small_sentencepiece();
    whole["model"]["merges"] = json!(["a b", "b c", "ab c", "a bc"]);
    assert_eq!(read_json(&whole, 9).unwrap().unlisted_merges(), 0);
}

#[test]
fn an_added_token_without_a_row_is_left_out_as_with_tokenizer_model() {
    let mut json = small_sentencepiece();
    json["added_tokens"] = json!([{"id": 8, "content": "<image>", "special": true}]);
    let found = read_json(&json, 8).unwrap();
    assert_eq!(found.tokens().last().unwrap().text, "abc");
    let error = read_json(&json, 7).unwrap_err();
    assert!(error.contains("token `abc` has id 7"), "{error}");
}

#[test]
fn spaces_in_merges_are_spelt_otherwise() {
    let changes = [
        ("/model/vocab", json!({"a": 0, " ": 1, "a ": 2})),
        ("/model/merges", json!([["a", " "]])),
    ];
    let vocabulary = read_json(&changed(small(), &changes), 4).unwrap();
    assert_eq!(vocabulary.merges(), ["a Ġ"]);
}

fn template(first: Option<&str>, last: Option<&str>) -> Value {
    let token = |text: &str| json!({"SpecialToken": {"id": text, "type_id": 0}});
    let mut single: Vec<Value> = first.into_iter().map(token).collect();
    single.push(json!({"Sequence": {"id": "A", "type_id": 0}}));
    single.extend(last.into_iter().map(token));
    json!({"type": "TemplateProcessing", "single": single, "pair": []})
}

fn with_roles(post_processor: Value, config: &Value, model: &Value) -> Vocabulary {
    let added = json!([
        {"id": 3, "content": "<|end|>", "special": true},
        {"id": 4, "content": "<|turn|>", "special": true},
    ]);
    let changes = [
        ("/added_tokens", added),
        ("/post_processor", post_processor),
    ];
    let json = changed(small(), &changes);
    let files = [
        ("tokenizer.json", &json),
        ("tokenizer_config.json", config),
        ("config.json", model),
    ];
    read(&files, Family::Llama, 8).unwrap()
}

#[test]
fn roles_come_from_the_tokenizer_then_from_the_model() {
    let config = json!({"eos_token": {"content": "<|end|>"}, "pad_token": "<|turn|>", "add_bos_token": true, "add_eos_token": true});
    let model = json!({"eos_token_id": [3, 4], "pad_token_id": 3, "bos_token_id": 4, "sep_token_id": 900, "mask_token_id": -1});
    let found = with_roles(json!({"type": "ByteLevel"}), &config, &model);
    assert_eq!(found.special(SpecialToken::Eos), Some(3));
    assert_eq!(found.special(SpecialToken::Padding), Some(4));
    assert_eq!(found.special(SpecialToken::Bos), Some(4));
    assert_eq!(found.special(SpecialToken::Separator), None);
    assert_eq!(found.special(SpecialToken::Mask), None);
    // The post-processor, which adds nothing, counts for more than the configuration.
    assert_eq!(
        (found.add_bos(), found.add_eos()),
        (Some(false), Some(false))
    );
    let found = with_roles(json!(null), &config, &model);
    assert_eq!((found.add_bos(), found.add_eos()), (Some(true), Some(true)));
    let nested = json!({"text_config": {"eos_token_id": 4}});
    let found = with_roles(json!(null), &json!({}), &nested);
    assert_eq!(found.special(SpecialToken::Eos), Some(4));
    assert_eq!((found.add_bos(), found.add_eos()), (None, None));
}

#[test]
fn a_template_that_ends_otherwise_takes_the_role() {
    let config = json!({"eos_token": "<|end|>"});
    let post_processor = template(Some("<|turn|>"), Some("<|turn|>"));
    let found = with_roles(post_processor, &config, &json!({}));
    assert_eq!(found.special(SpecialToken::Eos), Some(4));
    assert_eq!(found.special(SpecialToken::Eot), Some(3));
    assert_eq!(found.special(SpecialToken::Bos), Some(4));
    assert_eq!((found.add_bos(), found.add_eos()), (Some(true), Some(true)));
}

#[test]
fn a_named_token_that_is_not_there_gets_the_next_id() {
    let json = small();
    let config = json!({"pad_token": "[PAD]", "extra_special_tokens": ["b"]});
    let files = [
        ("tokenizer.json", &json),
        ("tokenizer_config.json", &config),
    ];
    let vocabulary = read(&files, Family::Qwen2, 6).unwrap();
    let found: Vec<(&str, TokenKind)> = vocabulary
        .tokens()
        .iter()
        .map(|token| (token.text.as_str(), token.kind))
        .collect();
    let expected = [
        ("a", TokenKind::Normal),
        ("b", TokenKind::Control),
        ("ab", TokenKind::Normal),
        ("<|end|>", TokenKind::Control),
        ("[PAD]", TokenKind::Control),
        ("[PAD5]", TokenKind::Unused),
    ];
    assert_eq!(found, expected);
    let error = read(&files, Family::Qwen2, 4).unwrap_err();
    let expected = "`./tokenizer_config.json`, `special tokens`: token `[PAD]` has id 4, but the embedding has 4 rows; resize";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn code_llama_and_smollm_are_told_by_their_size() {
    let found = read_json(&small(), 32016).unwrap();
    assert_eq!(found.special(SpecialToken::Eot), Some(32010));
    assert_eq!(
        found.metadata().last().unwrap().0,
        "tokenizer.ggml.eot_token_id"
    );
    let config = json!({"add_bos_token": true});
    let json = small();
    let files = [
        ("tokenizer.json", &json),
        ("tokenizer_config.json", &config),
    ];
    let found = read(&files, Family::Llama, 49152).unwrap();
    assert_eq!(found.add_bos(), Some(false));
}

#[test_case(&[("/model/vocab/b", json!(0))], "`model.vocab`: tokens `a` and `b` both have id 0"; "one id for two")]
#[test_case(&[("/model/vocab/b", json!(9))], "`model.vocab`: token `b` has id 9, but the embedding has 5 rows"; "beyond the embedding")]
#[test_case(&[("/model/vocab/b", json!(-1))], "invalid value: integer `-1`, expected u32"; "below zero")]
#[test_case(&[("/model/vocab/b", json!(4_294_967_296_u64))], "expected u32"; "beyond 32 bits")]
#[test_case(&[("/model/vocab", json!({})), ("/model/merges", json!([]))], "`model.vocab`: there are no tokens"; "no tokens")]
#[test_case(&[("/added_tokens/0/id", json!(2))], "`added_tokens[0]`: tokens `ab` and `<|end|>` both have id 2"; "an added token over another")]
#[test_case(&[("/added_tokens/0/content", json!("a"))], "`added_tokens[0]`: token `a` has both id 0 and id 3"; "a token added twice")]
#[test_case(&[("/added_tokens/0/content", json!("[PAD4]"))], "`tokens`: token `[PAD4]` has both id 3 and id 4"; "a token of the name of a hole")]
#[test_case(&[("/added_tokens/0/id", json!(4_000_000_000_u32))], "token `<|end|>` has id 4000000000"; "an added token beyond the embedding")]
#[test_case(&[("/model/merges", json!([["a", "b"], ["a", "c"]]))], "`model.merges[1]`: `c` is not in the vocabulary"; "a merge of no token")]
#[test_case(&[("/model/merges", json!([["b", "a"]]))], "`model.merges[0]`: `ba` is not in the vocabulary"; "a merge into no token")]
#[test_case(&[("/model/merges", json!(["a b c"]))], "two tokens, in a list or with one space"; "a merge of three in one string")]
#[test_case(&[("/model/merges", json!([["a", "b", "c"]]))], "invalid length 3, expected two tokens"; "a merge of three in a list")]
#[test_case(&[("/model/type", json!("Unigram")), ("/model/vocab", json!([["a", -1.0]]))], "`model.type`: a Unigram model cannot be written"; "unigram")]
#[test_case(&[("/model/end_of_word_suffix", json!("</w>"))], "`model.end_of_word_suffix`: a vocabulary with `</w>`"; "a suffix")]
#[test_case(&[("/post_processor", json!({"type": "RobertaProcessing"}))], "`post_processor`: a RobertaProcessing post-processor"; "a post-processor of another family")]
fn a_wrong_tokenizer_json_is_refused(changes: &[(&str, Value)], expected: &str) {
    let error = read_json(&changed(small(), changes), 5).unwrap_err();
    assert!(error.starts_with("`./tokenizer.json`"), "{error}");
    assert!(error.contains(expected), "{error}");
}

#[test_case(&json!({"added_tokens_decoder": []}), "`added_tokens_decoder`: expected an object, found []"; "a list")]
#[test_case(&json!({"added_tokens_decoder": {"x": {"content": "a"}}}), "`added_tokens_decoder.x`: expected an id as key"; "a key that is no id")]
#[test_case(&json!({"added_tokens_decoder": {"-1": {"content": "a"}}}), "expected an id as key"; "a key below zero")]
#[test_case(&json!({"added_tokens_decoder": {"3": {}}}), "`added_tokens_decoder.3`: expected an object with a string `content`"; "no content")]
#[test_case(&json!({"added_tokens_decoder": {"3": {"content": "c"}}}), "`added_tokens_decoder.3`: tokens `<|end|>` and `c` both have id 3"; "an id that is taken")]
#[test_case(&json!({"added_tokens_decoder": {"3": {"content": "<|end|>"}, "03": {"content": "<|end|>"}}}), "expected each id once"; "an id written twice")]
#[test_case(&json!({"add_prefix_space": "yes"}), "`add_prefix_space`: expected true or false, found \"yes\""; "no truth value")]
fn a_wrong_tokenizer_config_is_refused(config: &Value, expected: &str) {
    let json = small();
    let files = [("tokenizer.json", &json), ("tokenizer_config.json", config)];
    let error = read(&files, Family::Llama, 5).unwrap_err();
    assert!(error.starts_with("`./tokenizer_config.json`"), "{error}");
    assert!(error.contains(expected), "{error}");
}

#[test_case(0, "`./config.json`, `vocab_size`: there are no tokens"; "none")]
#[test_case(usize::MAX, "tokens are more than the 2097152 a vocabulary may have"; "too many")]
fn a_wrong_size_is_refused(size: usize, expected: &str) {
    let error = read_json(&small(), size).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn no_tokenizer_is_said_to_be_missing() {
    let error = read(&[], Family::Llama, 5).unwrap_err();
    assert!(
        error.starts_with("`.` has neither `tokenizer.json` nor"),
        "{error}"
    );
}

#[test]
fn a_token_written_twice_in_the_vocabulary_is_refused() {
    let text = small().to_string().replace("\"ab\":2", "\"ab\":2,\"ab\":3");
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("tokenizer.json"), text).unwrap();
    let error = Vocabulary::read(directory.path(), Family::Llama, 5).unwrap_err();
    assert!(error.to_string().contains("`ab` is there twice"), "{error}");
}

fn piece(text: &str, score: f32, kind: i32) -> Piece {
    Piece {
        text: Some(text.to_owned()),
        score: Some(score),
        kind: Some(kind),
    }
}

fn model(pieces: Vec<Piece>) -> ModelProto {
    ModelProto {
        pieces,
        trainer_spec: Some(TrainerSpec {
            model_type: Some(2),
        }),
    }
}

fn read_model(bytes: &[u8], files: &[(&str, &Value)], size: usize) -> Result<Vocabulary, String> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("tokenizer.model"), bytes).unwrap();
    for (name, value) in files {
        write(directory.path(), name, value);
    }
    let place = directory.path().display().to_string();
    Vocabulary::read(directory.path(), Family::Mistral, size)
        .map_err(|error| error.to_string().replace(&place, "."))
}

fn usual_model() -> ModelProto {
    let pieces = vec![
        piece("<unk>", 0.0, 2),
        piece("<s>", 0.0, 3),
        piece("▁a", -1.0, 1),
        piece("<turn>", 0.0, 4),
    ];
    model(pieces)
}

fn kinds(vocabulary: &Vocabulary) -> Vec<(&str, TokenKind)> {
    let tokens = vocabulary.tokens().iter();
    tokens
        .map(|token| (token.text.as_str(), token.kind))
        .collect()
}

#[test]
fn tokens_are_added_to_a_sentencepiece_model() {
    let bytes = usual_model().encode_to_vec();
    let old = json!({"<old>": 4, "<beyond>": 900});
    let config = json!({"added_tokens_decoder": {"3": {"content": "<turn>", "special": true}, "5": {"content": "▁▁"}}});
    let files = [
        ("added_tokens.json", &old),
        ("tokenizer_config.json", &config),
    ];
    let vocabulary = read_model(&bytes, &files, 7).unwrap();
    let expected = [
        ("<unk>", TokenKind::Unknown),
        ("<s>", TokenKind::Control),
        ("▁a", TokenKind::Normal),
        ("<turn>", TokenKind::Control),
        ("<old>", TokenKind::UserDefined),
        ("  ", TokenKind::UserDefined),
        ("[PAD6]", TokenKind::Unused),
    ];
    assert_eq!(kinds(&vocabulary), expected);
    // Fewer rows than tokens.
    assert_eq!(
        kinds(&read_model(&bytes, &files, 2).unwrap()),
        expected[..2]
    );
}

/// transformers 5 writes no `added_tokens_decoder`; the converter then misses these.
#[test]
fn tokens_that_only_tokenizer_json_adds_are_there() {
    let bytes = usual_model().encode_to_vec();
    let mut json = small_sentencepiece();
    json["added_tokens"] = json!([
        {"id": 0, "content": "<unk>", "special": true},
        {"id": 3, "content": "<turn>", "special": true},
        {"id": 4, "content": "<new>", "special": false},
    ]);
    let vocabulary = read_model(&bytes, &[("tokenizer.json", &json)], 5).unwrap();
    let expected = [
        ("<unk>", TokenKind::Unknown),
        ("<s>", TokenKind::Control),
        ("▁a", TokenKind::Normal),
        ("<turn>", TokenKind::Control),
        ("<new>", TokenKind::UserDefined),
    ];
    assert_eq!(kinds(&vocabulary), expected);
}

#[test]
fn a_wrong_sentencepiece_model_is_refused() {
    let refused = |model: &ModelProto, expected: &str| {
        let error = read_model(&model.encode_to_vec(), &[], 8).unwrap_err();
        assert!(error.starts_with("`./tokenizer.model`"), "{error}");
        assert!(error.contains(expected), "{error}");
    };
    refused(&model(Vec::new()), "`pieces`: there are none");
    let mut unigram = usual_model();
    unigram.trainer_spec = None;
    refused(
        &unigram,
        "`trainer_spec.model_type`: a Unigram model cannot be written",
    );
    let nan = model(vec![piece("a", f32::NAN, 1)]);
    refused(
        &nan,
        "`pieces[0].score`: score NaN of token `a` is not finite",
    );
    let unknown = model(vec![piece("a", 0.0, 77)]);
    refused(
        &unknown,
        "`pieces[0].type`: expected a kind of piece from 1 to 6, found 77",
    );
    let twice = model(vec![piece("a", 0.0, 1), piece("a", 0.0, 1)]);
    refused(&twice, "token `a` has both id 0 and id 1");
    let bytes = usual_model().encode_to_vec();
    // Cut short, and a file that means something else.
    let error = read_model(&bytes[..bytes.len() - 1], &[], 8).unwrap_err();
    assert!(error.contains("is not a SentencePiece model"), "{error}");
    let error = read_model(b"IQ== 0\nIg== 1\n", &[], 8).unwrap_err();
    assert!(
        error.contains("if the file is tiktoken's, remove it"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, size in 0_usize..20) {
        let _ = read_model(&bytes, &[], size);
    }

    #[test]
    fn no_changed_file_makes_the_reader_panic(
        which in 0_usize..3,
        index: prop::sample::Index,
        byte: u8,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let config = json!({"bos_token": "a", "added_tokens_decoder": {"3": {"content": "<|end|>"}}});
        let mut files = [
            ("tokenizer.json", small_sentencepiece().to_string().into_bytes()),
            ("tokenizer_config.json", config.to_string().into_bytes()),
            ("tokenizer.model", usual_model().encode_to_vec()),
        ];
        let bytes = &mut files[which].1;
        let at = index.index(bytes.len());
        bytes[at] = byte;
        for (name, bytes) in &files[..=which.max(1)] {
            std::fs::write(directory.path().join(name), bytes).unwrap();
        }
        let _ = Vocabulary::read(directory.path(), Family::Llama, 9);
    }
}
