//! All that a GGUF file says of a model, but the tokenizer: keys, types, values and order of llama.cpp's
//! converter.

mod file_type;
mod front_matter;
mod lineage;
mod model_card;
mod model_id;
mod sampling;
mod size_label;

#[cfg(test)]
mod tests;

pub use file_type::FileType;
pub use front_matter::{ModelCardError, ModelCardProblem};
pub use lineage::Lineage;
pub use model_card::{ModelCard, Source};
pub use sampling::Sampling;

use crate::gguf::{KeyValues, StringArray, Value};
use crate::hyper_parameters::{HyperParameters, RopeScaling};
use crate::model_config::Family;

/// ggml's version of how blocks are laid out.
const QUANTIZATION_VERSION: u32 = 2;

/// Returns what llama.cpp calls a family.
pub fn architecture(family: Family) -> &'static str {
    match family {
        Family::Llama | Family::Mistral => "llama",
        Family::Qwen2 => "qwen2",
        Family::Qwen3 => "qwen3",
        Family::Gemma3 => "gemma3",
    }
}

/// Returns all keys of a model but those of its tokenizer, which come after them.
///
/// In the converter's order: architecture, type, sampling, what the model is called and comes from,
/// sizes and constants, the type of the file, the version of the blocks.
pub fn model_metadata(
    family: Family,
    model: &HyperParameters,
    lineage: &Lineage,
    file_type: FileType,
) -> KeyValues {
    let mut values = KeyValues::new();
    values.insert("general.architecture", architecture(family));
    values.insert("general.type", "model");
    values.extend(lineage.sampling.key_values().clone());
    put_card(&mut values, &lineage.card);
    put_model(&mut values, family, model, file_type);
    values.insert("general.quantization_version", QUANTIZATION_VERSION);
    values
}

/// Returns all keys of a LoRA adapter, which has no tokenizer.
///
/// What it computes is multiplied by `alpha` over its rank; a scale of another form is put into `alpha`
/// by the caller.
pub fn adapter_metadata(family: Family, lineage: &Lineage, alpha: f32) -> KeyValues {
    let mut values = KeyValues::new();
    values.insert("general.architecture", architecture(family));
    values.insert("general.type", "adapter");
    values.insert("adapter.type", "lora");
    values.extend(lineage.sampling.key_values().clone());
    put_card(&mut values, &lineage.card);
    values.insert("adapter.lora.alpha", alpha);
    values.insert("general.quantization_version", QUANTIZATION_VERSION);
    values
}

/// Puts a string that says anything.
fn put_text(values: &mut KeyValues, key: &str, text: Option<&str>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        values.insert(key, text);
    }
}

fn put_card(values: &mut KeyValues, card: &ModelCard) {
    let texts = [
        ("name", &card.name),
        ("author", &card.author),
        ("version", &card.version),
        ("organization", &card.organization),
        ("finetune", &card.finetune),
        ("basename", &card.basename),
        ("description", &card.description),
        ("size_label", &card.size_label),
        ("license", &card.license),
        ("license.name", &card.license_name),
        ("license.link", &card.license_link),
        ("source.url", &card.url),
        ("source.doi", &card.doi),
        ("source.uuid", &card.uuid),
        ("source.repo_url", &card.repo_url),
    ];
    for (key, text) in texts {
        put_text(values, &format!("general.{key}"), text.as_deref());
    }
    put_sources(values, "general.base_model", card.base_models.as_deref());
    put_sources(values, "general.dataset", card.datasets.as_deref());
    for (key, list) in [
        ("general.tags", &card.tags),
        ("general.languages", &card.languages),
    ] {
        if let Some(list) = list.as_ref().filter(|list| !list.is_empty()) {
            values.insert(key, list.iter().collect::<StringArray>());
        }
    }
}

fn put_sources(values: &mut KeyValues, key: &str, sources: Option<&[Source]>) {
    let Some(sources) = sources else {
        return;
    };
    let count = u32::try_from(sources.len()).unwrap_or(u32::MAX);
    values.insert(format!("{key}.count"), count);
    for (idx, source) in sources.iter().enumerate() {
        let texts = [
            ("name", &source.name),
            ("author", &source.author),
            ("version", &source.version),
            ("organization", &source.organization),
            ("description", &source.description),
            ("url", &source.url),
            ("doi", &source.doi),
            ("uuid", &source.uuid),
            ("repo_url", &source.repo_url),
        ];
        for (name, text) in texts {
            put_text(values, &format!("{key}.{idx}.{name}"), text.as_deref());
        }
    }
}

fn put_model(values: &mut KeyValues, family: Family, model: &HyperParameters, file_type: FileType) {
    let architecture = architecture(family);
    let mut put = |key: &str, value: Value| {
        values.insert(format!("{architecture}.{key}"), value);
    };
    put("block_count", model.num_hidden_layers.into());
    put("context_length", model.max_position_embeddings.into());
    put("embedding_length", model.hidden_size.into());
    put("feed_forward_length", model.intermediate_size.into());
    put("attention.head_count", model.num_attention_heads.into());
    put("attention.head_count_kv", model.num_key_value_heads.into());
    put_rope(&mut put, model);
    put(
        "attention.layer_norm_rms_epsilon",
        float(model.rms_norm_eps),
    );
    if family != Family::Qwen2 || model.head_dim_is_given {
        put("attention.key_length", model.head_dim.into());
        put("attention.value_length", model.head_dim.into());
    }
    values.insert("general.file_type", file_type.id());
    let mut put = |key: &str, value: Value| {
        values.insert(format!("{architecture}.{key}"), value);
    };
    match family {
        Family::Llama | Family::Mistral => {
            put("vocab_size", model.vocab_size.into());
            put("rope.dimension_count", model.head_dim.into());
        }
        Family::Qwen2 | Family::Qwen3 => {}
        Family::Gemma3 => {
            if let Some(softcap) = model.final_logit_softcapping {
                put("final_logit_softcapping", float(softcap));
            }
            // The other families' windows are known to llama.cpp by the architecture, or not at all.
            if let Some(window) = model.sliding_window {
                put("attention.sliding_window", window.into());
            }
        }
    }
}

fn put_rope(put: &mut impl FnMut(&str, Value), model: &HyperParameters) {
    match &model.rope.scaling {
        // Llama 3's is in the tensor `rope_freqs.weight`.
        RopeScaling::None | RopeScaling::Llama3(_) => {}
        RopeScaling::Linear { factor } => {
            put("rope.scaling.type", "linear".into());
            put("rope.scaling.factor", float(*factor));
        }
        RopeScaling::Yarn(yarn) => {
            put("rope.scaling.type", "yarn".into());
            put("rope.scaling.factor", float(yarn.factor));
            let original = yarn.original_max_position_embeddings;
            put("rope.scaling.original_context_length", original.into());
            let optional = [
                ("ext_factor", yarn.extrapolation_factor),
                ("attn_factor", yarn.attention_factor),
                ("beta_fast", yarn.beta_fast),
                ("beta_slow", yarn.beta_slow),
            ];
            for (name, value) in optional {
                if let Some(value) = value {
                    put(&format!("rope.scaling.yarn_{name}"), float(value));
                }
            }
        }
    }
    put("rope.freq_base", float(model.rope.theta));
    if let Some(theta) = model.rope.local_theta {
        put("rope.freq_base_swa", float(theta));
    }
}

/// Rounds a number to what a file has room for.
fn float(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "the file has f32")]
    let rounded = number as f32;
    rounded.into()
}
