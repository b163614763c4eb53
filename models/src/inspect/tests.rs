use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use test_case::test_case;

use super::{InspectOptions, Inspection, Level, Subject, inspect};
use crate::gguf::{
    Array, Existing, KeyValues, StringArray, TensorDescription, TensorType, Value as Meta, Writer,
};

const TEMPLATE: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

fn golden(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("../tests/golden").join(name)
}

/// A directory whose files a test changes.
struct Place {
    directory: TempDir,
    name: &'static str,
}

impl Place {
    fn new(name: &'static str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join(name)).unwrap();
        Self { directory, name }
    }

    /// A Qwen2 checkpoint with a byte-level tokenizer in which nothing is doubtful.
    fn checkpoint() -> Self {
        let place = Self::new("model");
        place.copy(&golden("tokenizers/qwen2"));
        place.remove("ids.json");
        place.remove("metadata.json");
        place.change("config.json", |config| {
            config.insert("tie_word_embeddings".to_owned(), json!(false));
        });
        place.write("chat_template.jinja", TEMPLATE);
        place.tensors(
            "model.safetensors",
            &[("model.embed_tokens.weight", &[400, 32], 1.0)],
        );
        place
    }

    /// A Llama checkpoint with a SentencePiece tokenizer.
    fn sentencepiece() -> Self {
        let place = Self::checkpoint();
        place.copy(&golden("tokenizers/llama2"));
        place.change("config.json", |config| {
            config.insert("tie_word_embeddings".to_owned(), json!(false));
        });
        place.write(
            "chat_template.jinja",
            &TEMPLATE.replace("<|im_end|>", "</s>"),
        );
        place.tensors(
            "model.safetensors",
            &[("model.embed_tokens.weight", &[408, 32], 1.0)],
        );
        place
    }

    /// A LoRA adapter in which nothing is doubtful.
    fn adapter() -> Self {
        let place = Self::new("adapter");
        place.copy(&golden("models/llama/lora"));
        place.remove("merged.json");
        place
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(self.name)
    }

    fn copy(&self, from: &Path) {
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            if entry.path().is_file() {
                std::fs::copy(entry.path(), self.path().join(entry.file_name())).unwrap();
            }
        }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn remove(&self, name: &str) {
        let _ = std::fs::remove_file(self.path().join(name));
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Map<String, Value>)) {
        let text = std::fs::read_to_string(self.path().join(name)).unwrap_or("{}".to_owned());
        let mut fields = serde_json::from_str(&text).unwrap();
        change(&mut fields);
        self.write(name, &Value::Object(fields).to_string());
    }

    fn set(&self, name: &str, field: &str, value: Value) {
        self.change(name, |fields| {
            fields.insert(field.to_owned(), value);
        });
    }

    /// Writes a file of F32 tensors that are filled with one value each.
    fn tensors(&self, name: &str, tensors: &[(&str, &[usize], f32)]) {
        let (mut header, mut data) = (Map::new(), Vec::new());
        for (name, shape, value) in tensors {
            let start = data.len();
            let count = shape.iter().product();
            data.extend(value.to_le_bytes().repeat(count));
            let entry =
                json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] });
            header.insert((*name).to_owned(), entry);
        }
        let header = Value::Object(header).to_string();
        let length = (header.len() as u64).to_le_bytes();
        let bytes = [&length[..], header.as_bytes(), &data].concat();
        std::fs::write(self.path().join(name), bytes).unwrap();
    }

    fn inspect(&self) -> Inspection {
        inspected(&self.path(), &InspectOptions::default()).unwrap()
    }

    fn codes(&self) -> Vec<&'static str> {
        codes(&self.inspect())
    }
}

fn inspected(path: &Path, options: &InspectOptions) -> Result<Inspection, String> {
    let inspection = inspect(path, options, &mut |_| ControlFlow::Continue(()));
    inspection.map_err(|error| error.to_string())
}

fn codes(inspection: &Inspection) -> Vec<&'static str> {
    let findings = inspection.findings.iter();
    findings.map(|finding| finding.code).collect()
}

#[test]
fn a_sound_checkpoint_has_no_findings() {
    let inspection = Place::checkpoint().inspect();
    assert_eq!(inspection.findings, []);
    let Subject::Checkpoint(found) = inspection.subject else {
        panic!()
    };
    assert_eq!((found.family, found.parameters), ("Qwen2", Some(12_800)));
    assert_eq!(
        (found.sizes.vocab_size, found.rows_without_token),
        (400, Some(3))
    );
    let tokenizer = found.tokenizer.unwrap();
    assert_eq!(
        (tokenizer.pre.as_deref(), tokenizer.tokens),
        (Some("qwen2"), 397)
    );
    let eos = tokenizer
        .special
        .iter()
        .find(|token| token.role == "eos")
        .unwrap();
    assert_eq!((eos.id, eos.token.as_deref()), (390, Some("<|im_end|>")));
    assert_eq!(found.chat.unwrap().generation_markers, Some(true));
    assert_eq!(Place::sentencepiece().codes(), [""; 0]);
}

type Change = fn(&Place);

#[test_case(|place| place.remove("chat_template.jinja"), "no-template"; "no template")]
#[test_case(|place| place.write("chat_template.jinja", "{{ raise_exception('no') }}"), "template-error"; "template error")]
#[test_case(|place| place.write("chat_template.jinja", &TEMPLATE.replace("<|im_end|>", "")), "eos-not-in-template"; "no EOS in the template")]
#[test_case(|place| place.write("chat_template.jinja", &TEMPLATE.replace("add_generation_prompt", "false")), "no-generation-prompt"; "no generation prompt")]
#[test_case(|place| place.write("chat_template.jinja", &TEMPLATE.replace("{% generation %}", "").replace("{% endgeneration %}", "")), "no-generation-markers"; "no markers")]
#[test_case(|place| place.write("generation_config.json", r#"{"eos_token_id": [391]}"#), "eos-differs"; "another EOS")]
#[test_case(|place| place.set("tokenizer_config.json", "pad_token", json!("<|im_end|>")), "pad-is-eos"; "padding")]
#[test_case(|place| place.set("config.json", "tie_word_embeddings", json!(true)), "tied-head"; "tied")]
#[test_case(|place| place.set("config.json", "quantization_config", json!({"quant_method": "bitsandbytes", "load_in_4bit": true})), "quantised"; "quantised")]
#[test_case(|place| place.set("config.json", "vocab_size", json!(401)), "embedding-rows"; "rows")]
#[test_case(|place| place.set("config.json", "hidden_size", json!(64)), "shapes"; "columns")]
#[test_case(|place| place.remove("model.safetensors"), "no-weights"; "no weights")]
#[test_case(|place| place.remove("tokenizer.json"), "tokenizer"; "no tokenizer")]
#[test_case(|place| place.write("README.md", "---\na: [\n---\n"), "model-card"; "model card")]
fn what_is_doubtful_of_a_checkpoint_is_found(change: Change, expected: &str) {
    let place = Place::checkpoint();
    change(&place);
    assert_eq!(place.codes(), [expected]);
}

#[test_case(|place| place.set("tokenizer_config.json", "legacy", json!(false)), &["space-after-control-token"]; "not legacy")]
#[test_case(|place| place.set("tokenizer_config.json", "legacy", json!(true)), &[]; "legacy")]
#[test_case(|place| place.write("chat_template.jinja", &format!("{{{{ bos_token }}}}{}", TEMPLATE.replace("<|im_end|>", "</s>"))), &["bos-twice"]; "two BOS")]
#[test_case(|place| place.write("generation_config.json", r#"{"eos_token_id": [7, 2]}"#), &[]; "one of several EOS")]
fn what_is_doubtful_of_sentencepiece_is_found(change: Change, expected: &[&str]) {
    let place = Place::sentencepiece();
    change(&place);
    assert_eq!(place.codes(), expected);
}

#[test]
fn merges_that_the_file_does_not_list_are_counted() {
    let place = Place::sentencepiece();
    place.remove("tokenizer.model");
    let path = place.path().join("tokenizer.json");
    place.copy(&golden("tokenizers/llama2_json"));
    assert!(!place.codes().contains(&"unlisted-merges"));
    // Without its second half, merging has other ways to the same tokens than the scores give.
    let mut json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let merges = json["model"]["merges"].as_array_mut().unwrap();
    let mut kept: Vec<Value> = Vec::new();
    let mut made = std::collections::BTreeSet::new();
    for merge in merges.iter() {
        let parts: Vec<&str> = match merge {
            Value::String(text) => text.split(' ').collect(),
            list => list
                .as_array()
                .unwrap()
                .iter()
                .map(|part| part.as_str().unwrap())
                .collect(),
        };
        // One way to each token.
        if made.insert(parts.concat()) {
            kept.push(merge.clone());
        }
    }
    assert!(kept.len() < merges.len());
    *merges = kept;
    std::fs::write(&path, json.to_string()).unwrap();
    assert!(place.codes().contains(&"unlisted-merges"));
}

#[test]
fn base_models_are_told_by_the_directorys_name() {
    let place = Place::checkpoint();
    for (name, expected) in [
        ("Qwen2.5-0.5B", vec!["base-model"]),
        ("Qwen2.5-0.5B-Instruct", vec![]),
    ] {
        let to = place.directory.path().join(name);
        std::fs::rename(place.path(), &to).unwrap();
        let found = inspected(&to, &InspectOptions::default()).unwrap();
        assert_eq!(codes(&found), expected);
        std::fs::rename(&to, place.path()).unwrap();
    }
    let hub = place
        .directory
        .path()
        .join("models--Qwen--Qwen2.5-0.5B/snapshots");
    std::fs::create_dir_all(&hub).unwrap();
    std::fs::rename(place.path(), hub.join("0a1b")).unwrap();
    let found = inspected(&hub.join("0a1b"), &InspectOptions::default()).unwrap();
    assert_eq!(codes(&found), ["base-model"]);
}

#[test]
fn weights_are_read_only_if_asked_for() {
    let place = Place::checkpoint();
    place.tensors(
        "model.safetensors",
        &[
            ("a", &[3], 1.0),
            ("model.embed_tokens.weight", &[400, 32], f32::NAN),
        ],
    );
    assert_eq!(place.codes(), [""; 0]);
    let deep = InspectOptions {
        deep: true,
        ..InspectOptions::default()
    };
    let found = inspected(&place.path(), &deep).unwrap();
    let bytes = std::fs::read(place.path().join("model.safetensors")).unwrap();
    let offset = bytes.len() - 51_200;
    let expected = format!(
        "`model.safetensors`, tensor `model.embed_tokens.weight`: the value at byte {offset} is infinite or NaN"
    );
    assert_eq!(found.findings[0].what, expected);
    place.tensors(
        "model.safetensors",
        &[("model.embed_tokens.weight", &[400, 32], 1.0)],
    );
    let mut steps = Vec::new();
    inspect(&place.path(), &deep, &mut |progress| {
        steps.push((progress.done, progress.total));
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(steps, [(51_200, 51_200)]);
    let stopped = inspect(&place.path(), &deep, &mut |_| ControlFlow::Break(()));
    assert_eq!(stopped.unwrap_err().to_string(), "interrupted");
}

#[test]
fn a_sound_adapter_has_no_findings() {
    let inspection = Place::adapter().inspect();
    assert_eq!(inspection.findings, []);
    let Subject::Adapter(found) = inspection.subject else {
        panic!()
    };
    assert_eq!((found.kind, found.rank, found.alpha), ("LoRA", 4, 8.0));
    assert_eq!((found.scales.len(), found.scales[0].scale), (1, 2.0));
    assert_eq!((found.parameters, found.modules.len()), (3712, 7));
}

#[test]
fn patterns_give_each_module_its_scale() {
    let inspection = inspected(
        &golden("models/mistral/patterns"),
        &InspectOptions::default(),
    )
    .unwrap();
    let Subject::Adapter(found) = inspection.subject else {
        panic!()
    };
    assert_eq!(
        found.scales.iter().map(|count| count.modules).sum::<u64>(),
        14
    );
    assert_eq!(
        (found.rank_pattern.len(), found.alpha_pattern.len()),
        (3, 2)
    );
}

#[test]
fn an_adapters_card_that_cannot_be_read_is_told() {
    let place = Place::adapter();
    place.write("README.md", "---\na: [\n---\n");
    assert_eq!(place.codes(), ["model-card"]);
}

#[test_case("models/llama/dora", "not-an-adapter-gguf"; "DoRA")]
#[test_case("models/qwen2/untied", "not-an-adapter-gguf"; "modules to save")]
fn adapters_that_llama_cpp_cannot_load_are_told(name: &str, expected: &str) {
    let found = inspected(&golden(name), &InspectOptions::default()).unwrap();
    assert_eq!(codes(&found), [expected]);
}

#[test_case("meta-llama/Llama-3.2-1B", &["base-model"])]
#[test_case("meta-llama/Llama-3.2-1B-Instruct", &[])]
#[test_case("unsloth/Llama-3.2-1B-Instruct-bnb-4bit", &["quantised-base"])]
fn what_an_adapter_was_trained_on_is_judged(name: &str, expected: &[&str]) {
    let place = Place::adapter();
    place.set(
        "adapter_config.json",
        "base_model_name_or_path",
        json!(name),
    );
    assert_eq!(place.codes(), expected);
}

const A: &str = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
const B: &str = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight";
const A1: &str = "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight";
const B1: &str = "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight";

#[test_case(1.0, 0.0, 0.0, &["untrained"]; "nothing trained")]
#[test_case(1.0, -0.0, 1.0, &["partly-untrained"]; "one of two trained")]
#[test_case(1.0, 1.0, 1.0, &[]; "trained")]
#[test_case(f32::INFINITY, 1.0, 1.0, &["not-finite"]; "infinite")]
fn an_adapters_values_are_looked_at(a: f32, b: f32, b1: f32, expected: &[&str]) {
    let place = Place::adapter();
    let tensors: [(&str, &[usize], f32); 4] = [
        (A, &[4, 32], a),
        (B, &[32, 4], b),
        (A1, &[4, 32], 1.0),
        (B1, &[32, 4], b1),
    ];
    place.tensors("adapter_model.safetensors", &tensors);
    assert_eq!(place.codes(), expected);
}

#[test_case("models/llama/base", "someone/base", &[]; "the one it was trained on")]
#[test_case("models/llama/base", "meta-llama/Llama-3.2-1B-Instruct", &["another-base"]; "another name")]
#[test_case("models/qwen2/base", "base", &[]; "another model of the same shapes")]
#[test_case("models/gemma3/base", "base", &[]; "other prefixes")]
fn a_base_is_compared(base: &str, trained_on: &str, expected: &[&str]) {
    let place = Place::adapter();
    place.set(
        "adapter_config.json",
        "base_model_name_or_path",
        json!(trained_on),
    );
    let options = InspectOptions {
        base: Some(golden(base)),
        ..InspectOptions::default()
    };
    let found = inspected(&place.path(), &options).unwrap();
    assert_eq!(codes(&found), expected);
}

#[test]
fn a_base_that_does_not_fit_is_told() {
    let place = Place::adapter();
    place.set(
        "adapter_config.json",
        "base_model_name_or_path",
        json!("model"),
    );
    let base = Place::checkpoint();
    let options = InspectOptions {
        base: Some(base.path()),
        ..InspectOptions::default()
    };
    let found = inspected(&place.path(), &options).unwrap();
    assert_eq!(codes(&found), ["misfit"]);
    let wrong = inspected(&base.path(), &options).unwrap_err();
    assert!(wrong.contains("is no adapter's directory"), "{wrong}");
}

fn sound_gguf() -> KeyValues {
    let mut values = KeyValues::new();
    values.insert("general.architecture", "llama");
    values.insert("general.type", "model");
    values.insert("tokenizer.ggml.model", "gpt2");
    values.insert("tokenizer.ggml.pre", "qwen2");
    let tokens: StringArray = ["a", "<|im_start|>", "<|im_end|>", "<s>"].iter().collect();
    values.insert("tokenizer.ggml.tokens", tokens);
    values.insert(
        "tokenizer.ggml.token_type",
        Meta::from(Array::I32(vec![1, 3, 3, 3])),
    );
    values.insert("tokenizer.ggml.bos_token_id", 3u32);
    values.insert("tokenizer.ggml.eos_token_id", 2u32);
    values.insert("tokenizer.chat_template", TEMPLATE);
    values
}

fn gguf_codes(values: &KeyValues, tensors: &[(&str, f32)]) -> Vec<&'static str> {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.bin");
    let describe = |(name, _): &(&str, f32)| TensorDescription {
        name: (*name).to_owned(),
        dimensions: vec![2, 2],
        tensor_type: TensorType::F32,
    };
    let described = tensors.iter().map(describe).collect();
    let mut writer = Writer::begin(&path, values, described, Existing::Keep).unwrap();
    for (name, value) in tensors {
        writer
            .write_tensor(name, &value.to_le_bytes().repeat(4))
            .unwrap();
    }
    writer.finish().unwrap();
    codes(&inspected(&path, &InspectOptions::default()).unwrap())
}

type ChangeValues = fn(&mut KeyValues);

#[test_case(|_| {}, &[]; "sound")]
#[test_case(|values| { values.insert("split.count", 3u16); }, &["split"]; "split")]
#[test_case(|values| { values.insert("general.name", "Llama 3.2 1B"); }, &["base-model"]; "base model")]
#[test_case(|values| { values.insert("tokenizer.ggml.padding_token_id", 2u32); }, &["pad-is-eos"]; "padding")]
#[test_case(|values| { values.insert("tokenizer.chat_template", "{{ 1 / 0 }}"); }, &["template-error"]; "template error")]
#[test_case(|values| { values.insert("tokenizer.ggml.eos_token_id", 0u32); }, &[]; "an end that llama.cpp knows")]
#[test_case(|values| { values.insert("tokenizer.chat_template", TEMPLATE.replace("<|im_end|>", "<s>")); }, &["eos-not-in-template"]; "no EOS")]
#[test_case(|values| { values.insert("tokenizer.ggml.add_bos_token", true); values.insert("tokenizer.chat_template", format!("{{{{ bos_token }}}}{TEMPLATE}")); }, &["bos-twice"]; "two BOS")]
#[test_case(|values| { values.insert("tokenizer.chat_template", format!("{{{{ bos_token }}}}{TEMPLATE}")); }, &[]; "one BOS")]
#[test_case(|values| *values = KeyValues::new(), &["tokenizer"]; "no tokenizer")]
fn what_is_doubtful_of_a_gguf_file_is_found(change: ChangeValues, expected: &[&str]) {
    let mut values = sound_gguf();
    change(&mut values);
    assert_eq!(gguf_codes(&values, &[]), expected);
}

#[test_case(1.0, 0.0, &["untrained"]; "nothing trained")]
#[test_case(f32::NAN, 1.0, &["not-finite"]; "NaN")]
#[test_case(1.0, 1.0, &[]; "sound")]
fn a_gguf_adapters_values_are_looked_at(a: f32, b: f32, expected: &[&str]) {
    let mut values = KeyValues::new();
    values.insert("general.type", "adapter");
    let tensors = [("q.weight.lora_a", a), ("q.weight.lora_b", b)];
    assert_eq!(gguf_codes(&values, &tensors), expected);
}

#[test_case("tokenizers", "has neither `config.json` nor `adapter_config.json`; in it there is `gemma3`, `gemma3_json`, `llama2`"; "neither")]
#[test_case("models/llama/base/model.safetensors", "is a safetensors file, not a GGUF file; name the directory"; "safetensors")]
#[test_case("models/llama/base/config.json", "is JSON, not a GGUF file"; "JSON")]
#[test_case("tokenizers/gemma3/tokenizer.model", "is something else, not a GGUF file"; "something else")]
#[test_case("nothing", "failed to read"; "nothing")]
fn what_is_no_model_is_told(name: &str, expected: &str) {
    let error = inspected(&golden(name), &InspectOptions::default()).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_directory_of_both_and_pickled_weights_are_told() {
    let place = Place::adapter();
    std::fs::rename(
        place.path().join("adapter_model.safetensors"),
        place.path().join("adapter_model.bin"),
    )
    .unwrap();
    let error = inspected(&place.path(), &InspectOptions::default()).unwrap_err();
    assert!(error.contains("adapter_model.bin` is pickled"), "{error}");
    place.write("config.json", "{}");
    let error = inspected(&place.path(), &InspectOptions::default()).unwrap_err();
    assert!(
        error.contains("give each a directory of its own"),
        "{error}"
    );
}

#[test]
fn warnings_come_before_notes() {
    let place = Place::checkpoint();
    place.set("config.json", "tie_word_embeddings", json!(true));
    place.remove("chat_template.jinja");
    let levels: Vec<Level> = place
        .inspect()
        .findings
        .iter()
        .map(|finding| finding.level)
        .collect();
    assert_eq!(levels, [Level::Warning, Level::Note]);
}

#[test]
fn damage_is_an_error() {
    let place = Place::checkpoint();
    for name in [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
    ] {
        let path = place.path().join(name);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let error = inspected(&place.path(), &InspectOptions::default()).unwrap_err();
        assert!(error.contains(name), "{error}");
        std::fs::write(&path, whole).unwrap();
    }
}
