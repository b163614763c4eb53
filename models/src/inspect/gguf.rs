use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::gguf::{GgufFile, KeyValues, StoredTensor, Value};
use crate::metadata::{FileType, Source};

/// Ids of special tokens by their keys' last parts: `tokenizer.ggml.ROLE_token_id`.
const ROLES: [&str; 11] = [
    "bos",
    "eos",
    "eot",
    "eom",
    "unknown",
    "padding",
    "seperator",
    "mask",
    "cls",
    "prefix",
    "suffix",
];

/// What a GGUF file is, as far as it says.
///
/// A key that is missing or of another type than llama.cpp's is not there; nothing is guessed. Strings
/// are the file's own and may hold anything that UTF-8 can.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GgufDescription {
    /// The version of the format, 2 or 3.
    pub version: u32,
    /// Bytes of the file.
    pub bytes: u64,
    /// `model`, `adapter` or another.
    pub kind: Option<String>,
    /// What llama.cpp calls the family.
    pub architecture: Option<String>,
    /// The model's name.
    pub name: Option<String>,
    /// How many values all tensors have.
    pub parameters: u64,
    /// The same as a label, e.g. `1.2B`, as the file has it.
    pub size_label: Option<String>,
    /// What most tensors are stored as, as the file has it, e.g. `Q4_K_M`.
    pub file_type: Option<String>,
    /// What the tensors are stored as, those with the most bytes first.
    pub tensor_types: Vec<TensorTypeCount>,
    /// Layers.
    pub block_count: Option<u64>,
    /// Tokens of the longest context.
    pub context_length: Option<u64>,
    /// Values of a token's vector.
    pub embedding_length: Option<u64>,
    /// Heads that ask.
    pub head_count: Option<u64>,
    /// Heads that are asked.
    pub head_count_kv: Option<u64>,
    /// The tokenizer, if there is one.
    pub tokenizer: Option<TokenizerDescription>,
    /// The chat template, if there is one.
    pub chat_template: Option<String>,
    /// Names of further chat templates.
    pub named_chat_templates: Vec<String>,
    /// The licence.
    pub license: Option<String>,
    /// What the model was made from.
    pub base_models: Vec<Source>,
    /// What it was trained on.
    pub datasets: Vec<Source>,
    /// What others find it by.
    pub tags: Vec<String>,
    /// The languages it is for.
    pub languages: Vec<String>,
    /// What an adapter is, if it is one.
    pub adapter: Option<GgufAdapterDescription>,
    /// Which part of a model it is, if the model has several.
    pub split: Option<SplitDescription>,
    /// Bits a value takes on average; none if there are no values.
    pub bits_per_weight: Option<f64>,
}

/// How much of a file is stored in a type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TensorTypeCount {
    /// The type, e.g. `Q4_K`.
    pub tensor_type: &'static str,
    /// Tensors of it.
    pub tensors: u64,
    /// Their values.
    pub parameters: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a file says of its tokenizer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenizerDescription {
    /// The kind, e.g. `gpt2` for byte-level BPE or `llama` for sentencepiece's.
    pub model: Option<String>,
    /// How text is split before, e.g. `llama-bpe`.
    pub pre: Option<String>,
    /// How many tokens there are.
    pub tokens: u64,
    /// Tokens with a role.
    pub special: Vec<SpecialTokenDescription>,
    /// Whether the runtime puts a BOS in front.
    pub adds_bos: Option<bool>,
    /// Whether the runtime puts an EOS at the end.
    pub adds_eos: Option<bool>,
}

/// A token with a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpecialTokenDescription {
    /// The role, e.g. `eos`.
    pub role: &'static str,
    /// Its id.
    pub id: u64,
    /// Its text; none if there are not so many tokens.
    pub token: Option<String>,
}

/// What an adapter's file says of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GgufAdapterDescription {
    /// The kind, e.g. `lora`.
    pub kind: Option<String>,
    /// α: what it computes is multiplied by α over its rank.
    pub alpha: Option<f32>,
    /// The ranks of its modules, each once, smallest first.
    pub ranks: Vec<u64>,
    /// Modules it changes.
    pub modules: u64,
}

/// Which part of a model a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SplitDescription {
    /// Its number, from 1.
    pub part: u64,
    /// Parts in all.
    pub parts: u64,
}

impl GgufDescription {
    /// Describes a file.
    pub fn of(file: &GgufFile) -> Self {
        let values = file.key_values();
        let architecture = text(values, "general.architecture");
        let of_model = |name: &str| {
            let architecture = architecture.as_deref()?;
            values.get(&format!("{architecture}.{name}"))?.as_u64()
        };
        let kind = text(values, "general.type");
        let is_adapter = kind.as_deref() == Some("adapter");
        let parameters = parameters(file);
        let stored: u64 = file.tensors().iter().map(StoredTensor::bytes).sum();
        Self {
            version: file.version(),
            bytes: file.length(),
            name: text(values, "general.name"),
            parameters,
            size_label: text(values, "general.size_label"),
            file_type: file_type(values),
            tensor_types: tensor_types(file),
            block_count: of_model("block_count"),
            context_length: of_model("context_length"),
            embedding_length: of_model("embedding_length"),
            head_count: of_model("attention.head_count"),
            head_count_kv: of_model("attention.head_count_kv"),
            tokenizer: tokenizer(values),
            chat_template: text(values, "tokenizer.chat_template"),
            named_chat_templates: texts(values, "tokenizer.chat_templates"),
            license: text(values, "general.license"),
            base_models: sources(values, "general.base_model"),
            datasets: sources(values, "general.dataset"),
            tags: texts(values, "general.tags"),
            languages: texts(values, "general.languages"),
            adapter: is_adapter.then(|| GgufAdapterDescription {
                kind: text(values, "adapter.type"),
                alpha: match values.get("adapter.lora.alpha") {
                    Some(Value::F32(alpha)) => Some(*alpha),
                    _ => None,
                },
                ranks: ranks(file),
                modules: file.tensors().iter().filter(|tensor| is_a(tensor)).count() as u64,
            }),
            split: split(values),
            bits_per_weight: (parameters > 0).then(|| stored as f64 * 8.0 / parameters as f64),
            kind,
            architecture,
        }
    }
}

fn text(values: &KeyValues, key: &str) -> Option<String> {
    values.get(key)?.as_str().map(str::to_owned)
}

fn texts(values: &KeyValues, key: &str) -> Vec<String> {
    let strings = values.get(key).and_then(Value::as_strings);
    let strings = strings.map(|strings| strings.iter().map(str::to_owned).collect());
    strings.unwrap_or_default()
}

/// Tensors do not overlap, and even the smallest block has more than 1 bit a value, so the sum of a
/// file's values stays far below 2^64.
fn parameters(file: &GgufFile) -> u64 {
    file.tensors().iter().map(StoredTensor::elements).sum()
}

/// Tells whether a tensor is the A of a low-rank change, (inputs, rank).
fn is_a(tensor: &StoredTensor) -> bool {
    tensor.name().ends_with(".lora_a")
}

fn ranks(file: &GgufFile) -> Vec<u64> {
    let of_a = file.tensors().iter().filter(|tensor| is_a(tensor));
    let ranks: BTreeSet<u64> = of_a
        .map(|tensor| tensor.dimensions().get(1).copied().unwrap_or(1))
        .collect();
    ranks.into_iter().collect()
}

fn split(values: &KeyValues) -> Option<SplitDescription> {
    let number = |key| values.get(key).and_then(Value::as_u64);
    let parts = number("split.count").filter(|&parts| parts > 1)?;
    Some(SplitDescription {
        part: number("split.no").unwrap_or(0).saturating_add(1),
        parts,
    })
}

fn file_type(values: &KeyValues) -> Option<String> {
    let id = values.get("general.file_type")?.as_u64()?;
    let name = u32::try_from(id).ok().and_then(FileType::name_of);
    Some(name.map_or_else(|| format!("unknown ({id})"), str::to_owned))
}

fn tensor_types(file: &GgufFile) -> Vec<TensorTypeCount> {
    let mut counts = BTreeMap::new();
    for tensor in file.tensors() {
        let tensor_type = tensor.tensor_type();
        let count = counts.entry(tensor_type).or_insert(TensorTypeCount {
            tensor_type: tensor_type.name(),
            tensors: 0,
            parameters: 0,
            bytes: 0,
        });
        count.tensors += 1;
        count.parameters += tensor.elements();
        count.bytes += tensor.bytes();
    }
    let mut counts: Vec<TensorTypeCount> = counts.into_values().collect();
    counts.sort_by_key(|count| std::cmp::Reverse(count.bytes));
    counts
}

fn tokenizer(values: &KeyValues) -> Option<TokenizerDescription> {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let tokens = values.get(&key("tokens")).and_then(Value::as_strings);
    let model = text(values, &key("model"));
    if model.is_none() && tokens.is_none() {
        return None;
    }
    let special = ROLES.iter().filter_map(|&role| {
        let id = values.get(&key(&format!("{role}_token_id")))?.as_u64()?;
        let place = usize::try_from(id).ok();
        let token = place
            .and_then(|place| tokens?.get(place))
            .map(str::to_owned);
        Some(SpecialTokenDescription { role, id, token })
    });
    let adds = |name: &str| values.get(&key(name)).and_then(Value::as_bool);
    Some(TokenizerDescription {
        special: special.collect(),
        model,
        pre: text(values, &key("pre")),
        tokens: tokens.map_or(0, |tokens| tokens.len() as u64),
        adds_bos: adds("add_bos_token"),
        adds_eos: adds("add_eos_token"),
    })
}

fn sources(values: &KeyValues, key: &str) -> Vec<Source> {
    let count = values.get(&format!("{key}.count")).and_then(Value::as_u64);
    // A file may say any number; it has no more sources than keys.
    let count = count.unwrap_or(0).min(values.len() as u64);
    let sources = (0..count).map(|idx| {
        let text = |name: &str| text(values, &format!("{key}.{idx}.{name}"));
        Source {
            name: text("name"),
            author: text("author"),
            version: text("version"),
            organization: text("organization"),
            description: text("description"),
            url: text("url"),
            doi: text("doi"),
            uuid: text("uuid"),
            repo_url: text("repo_url"),
        }
    });
    sources.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::{Existing, StringArray, TensorDescription, TensorType, Writer};

    fn described(values: &KeyValues, tensors: &[(&str, TensorType, &[u64])]) -> GgufDescription {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("m.gguf");
        let tensors: Vec<TensorDescription> = tensors
            .iter()
            .map(|&(name, tensor_type, dimensions)| TensorDescription {
                name: name.to_owned(),
                dimensions: dimensions.to_vec(),
                tensor_type,
            })
            .collect();
        let mut writer = Writer::begin(&path, values, tensors.clone(), Existing::Keep).unwrap();
        for tensor in tensors {
            let bytes = usize::try_from(tensor.bytes().unwrap()).unwrap();
            writer.write_tensor(&tensor.name, &vec![0; bytes]).unwrap();
        }
        writer.finish().unwrap();
        GgufDescription::of(&GgufFile::open(&path).unwrap())
    }

    #[test]
    fn a_model_is_described_as_it_says() {
        let mut values = KeyValues::new();
        values.insert("general.architecture", "qwen2");
        values.insert("general.type", "model");
        values.insert("general.file_type", 15u32);
        values.insert("general.base_model.count", u32::MAX);
        values.insert("general.base_model.0.name", "Base");
        values.insert("qwen2.block_count", 2u32);
        values.insert("qwen2.context_length", "not a number");
        values.insert("tokenizer.ggml.model", "gpt2");
        let tokens: StringArray = ["a", "b"].iter().collect();
        values.insert("tokenizer.ggml.tokens", tokens);
        values.insert("tokenizer.ggml.eos_token_id", 1u32);
        values.insert("tokenizer.ggml.bos_token_id", 2u32);
        values.insert("tokenizer.ggml.add_bos_token", false);
        let tensors: [(&str, TensorType, &[u64]); 3] = [
            ("a", TensorType::F32, &[3]),
            ("b", TensorType::Q4_K, &[256, 2]),
            ("c", TensorType::F32, &[2]),
        ];
        let found = described(&values, &tensors);
        assert_eq!(found.architecture.as_deref(), Some("qwen2"));
        assert_eq!(found.file_type.as_deref(), Some("Q4_K_M"));
        assert_eq!((found.block_count, found.context_length), (Some(2), None));
        assert_eq!(found.parameters, 517);
        let count = |tensor_type, tensors, parameters, bytes| TensorTypeCount {
            tensor_type,
            tensors,
            parameters,
            bytes,
        };
        assert_eq!(
            found.tensor_types,
            [count("Q4_K", 1, 512, 288), count("F32", 2, 5, 20)]
        );
        let tokenizer = found.tokenizer.unwrap();
        let special = |role, id, token: Option<&str>| SpecialTokenDescription {
            role,
            id,
            token: token.map(str::to_owned),
        };
        assert_eq!(
            tokenizer.special,
            [special("bos", 2, None), special("eos", 1, Some("b"))]
        );
        assert_eq!((tokenizer.tokens, tokenizer.adds_bos), (2, Some(false)));
        assert_eq!(found.base_models[0].name.as_deref(), Some("Base"));
        assert_eq!(found.base_models.len(), values.len());
        assert_eq!((found.adapter, found.chat_template), (None, None));
    }

    #[test]
    fn a_file_that_says_nothing_is_described_too() {
        let found = described(&KeyValues::new(), &[]);
        assert_eq!((found.architecture, found.tokenizer), (None, None));
        assert_eq!(found.parameters, 0);
    }

    #[test]
    fn an_adapter_is_one() {
        let mut values = KeyValues::new();
        values.insert("general.type", "adapter");
        values.insert("adapter.type", "lora");
        values.insert("adapter.lora.alpha", 32f32);
        let expected = GgufAdapterDescription {
            kind: Some("lora".to_owned()),
            alpha: Some(32.0),
            ranks: vec![4, 8],
            modules: 3,
        };
        let tensors: [(&str, TensorType, &[u64]); 4] = [
            ("blk.0.attn_q.weight.lora_a", TensorType::F32, &[16, 8]),
            ("blk.0.attn_q.weight.lora_b", TensorType::F32, &[8, 16]),
            ("blk.1.attn_q.weight.lora_a", TensorType::F32, &[16, 4]),
            ("blk.2.attn_q.weight.lora_a", TensorType::F32, &[16, 8]),
        ];
        assert_eq!(described(&values, &tensors).adapter, Some(expected));
    }
}
