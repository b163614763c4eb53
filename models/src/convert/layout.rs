//! Where a checkpoint's tensor goes in GGUF: its name there, and what is done to its rows.

use crate::model_config::Family;

/// Ends of names outside the layers, in a checkpoint and in GGUF.
const WHOLE: [(&str, &str); 3] = [
    ("embed_tokens.weight", "token_embd.weight"),
    ("norm.weight", "output_norm.weight"),
    ("lm_head.weight", "output.weight"),
];

/// Modules of a layer, in a checkpoint and in GGUF.
const MODULES: [(&str, &str); 11] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("post_attention_layernorm", "ffn_norm"),
];

/// Gemma 3's norms around the MLP, which come before [`MODULES`].
const GEMMA3_NORMS: [(&str, &str); 3] = [
    ("post_attention_layernorm", "post_attention_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
];

/// What a tensor becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Its name in GGUF.
    pub(crate) name: String,
    /// Its layer, from 0, if it is in one.
    pub(crate) layer: Option<u32>,
    /// The order of its rows.
    pub(crate) order: RowOrder,
    /// Whether 1 is added to every value: Gemma's norms scale by one more than they store.
    pub(crate) adds_one: bool,
    /// Whether it has a row for every token.
    pub(crate) is_embedding: bool,
}

/// The order of a tensor's rows, or of a bias' values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowOrder {
    /// As in the checkpoint.
    Kept,
    /// Within each query head, the halves that rotate together are interleaved.
    Queries,
    /// The same for key heads.
    Keys,
}

/// What is to be done with a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It goes into the file.
    At(Layout),
    /// It is no weight of the language model: a vision tower, or what can be computed.
    Nowhere,
    /// It should not be in such a checkpoint.
    Unknown,
}

/// Returns where the tensor of this name goes.
pub(crate) fn place(family: Family, name: &str) -> Place {
    const COMPUTED: [&str; 3] = [
        ".rotary_emb.inv_freq",
        ".attention.masked_bias",
        ".attention.bias",
    ];
    const OTHER_PARTS: [&str; 4] = [
        "vision_tower.",
        "vision_model.",
        "multi_modal_projector.",
        "mm_projector.",
    ];
    if COMPUTED.iter().any(|end| name.ends_with(end))
        || OTHER_PARTS.iter().any(|part| name.contains(part))
    {
        return Place::Nowhere;
    }
    let bare = name.replace("language_model.", "");
    let gguf = if bare == "lm_head.weight" {
        Some("output.weight".to_owned())
    } else {
        bare.strip_prefix("model.")
            .and_then(|name| gguf_name(family, name))
    };
    let Some(gguf) = gguf else {
        return Place::Unknown;
    };
    let rotates = matches!(family, Family::Llama | Family::Mistral);
    let order = match gguf.rsplit_once('.').map(|(module, _)| module) {
        Some(module) if rotates && module.ends_with(".attn_q") => RowOrder::Queries,
        Some(module) if rotates && module.ends_with(".attn_k") => RowOrder::Keys,
        _ => RowOrder::Kept,
    };
    Place::At(Layout {
        layer: layer(&gguf),
        order,
        adds_one: family == Family::Gemma3 && bare.ends_with("norm.weight"),
        is_embedding: matches!(gguf.as_str(), "token_embd.weight" | "output.weight"),
        name: gguf,
    })
}

/// Returns the name in GGUF of what stands behind `model.`.
fn gguf_name(family: Family, name: &str) -> Option<String> {
    if let Some((_, gguf)) = WHOLE.iter().find(|(whole, _)| *whole == name) {
        return Some((*gguf).to_owned());
    }
    let (layer, rest) = name.strip_prefix("layers.")?.split_once('.')?;
    let layer: u32 = layer.parse().ok()?;
    let (module, kind) = rest.rsplit_once('.')?;
    if !matches!(kind, "weight" | "bias") {
        return None;
    }
    let gemma: &[_] = match family {
        Family::Gemma3 => &GEMMA3_NORMS,
        _ => &[],
    };
    let mut modules = gemma.iter().chain(&MODULES);
    let (_, gguf) = modules.find(|(known, _)| *known == module)?;
    Some(format!("blk.{layer}.{gguf}.{kind}"))
}

/// Returns the layer of a name as GGUF has it.
pub(crate) fn layer(name: &str) -> Option<u32> {
    let (layer, _) = name.strip_prefix("blk.")?.split_once('.')?;
    layer.parse().ok()
}

/// Returns the row of the checkpoint that is row `row` of the file, in a tensor of heads of so many
/// rows.
///
/// A checkpoint keeps the two halves of every rotated pair half a head apart; llama.cpp has them side
/// by side.
pub(crate) fn interleaved(row: usize, head_rows: usize) -> usize {
    let (head, within) = (row / head_rows, row % head_rows);
    head * head_rows + (within % 2) * (head_rows / 2) + within / 2
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn name(family: Family, from: &str) -> String {
        match place(family, from) {
            Place::At(layout) => layout.name,
            other => format!("{other:?}"),
        }
    }

    #[test_case(Family::Llama, "model.embed_tokens.weight", "token_embd.weight")]
    #[test_case(Family::Llama, "lm_head.weight", "output.weight")]
    #[test_case(
        Family::Llama,
        "model.layers.17.mlp.down_proj.weight",
        "blk.17.ffn_down.weight"
    )]
    #[test_case(
        Family::Llama,
        "model.layers.0.post_attention_layernorm.weight",
        "blk.0.ffn_norm.weight"
    )]
    #[test_case(
        Family::Gemma3,
        "model.layers.0.post_attention_layernorm.weight",
        "blk.0.post_attention_norm.weight"
    )]
    #[test_case(
        Family::Gemma3,
        "model.layers.0.pre_feedforward_layernorm.weight",
        "blk.0.ffn_norm.weight"
    )]
    #[test_case(
        Family::Gemma3,
        "language_model.model.norm.weight",
        "output_norm.weight"
    )]
    #[test_case(
        Family::Gemma3,
        "model.language_model.layers.3.self_attn.q_norm.weight",
        "blk.3.attn_q_norm.weight"
    )]
    #[test_case(
        Family::Gemma3,
        "model.vision_tower.encoder.layers.0.mlp.fc1.weight",
        "Nowhere"
    )]
    #[test_case(
        Family::Llama,
        "model.layers.0.self_attn.rotary_emb.inv_freq",
        "Nowhere"
    )]
    #[test_case(
        Family::Qwen2,
        "model.layers.1.self_attn.k_proj.bias",
        "blk.1.attn_k.bias"
    )]
    #[test_case(Family::Llama, "model.layers.x.mlp.down_proj.weight", "Unknown")]
    #[test_case(Family::Llama, "model.layers.0.mlp.experts.0.w1.weight", "Unknown")]
    #[test_case(Family::Llama, "model.layers.0.mlp.down_proj.weight_scale", "Unknown")]
    fn names_are_llama_cpps(family: Family, from: &str, expected: &str) {
        assert_eq!(name(family, from), expected);
    }

    #[test]
    fn only_llamas_queries_and_keys_are_reordered() {
        let order = |family, name: &str| match place(family, name) {
            Place::At(layout) => layout.order,
            other => panic!("{other:?}"),
        };
        let query = "model.layers.0.self_attn.q_proj.weight";
        assert_eq!(order(Family::Mistral, query), RowOrder::Queries);
        assert_eq!(order(Family::Qwen3, query), RowOrder::Kept);
        let key = "model.layers.0.self_attn.k_proj.bias";
        assert_eq!(order(Family::Llama, key), RowOrder::Keys);
        let norm = "model.layers.0.self_attn.k_norm.weight";
        assert_eq!(order(Family::Llama, norm), RowOrder::Kept);
    }

    #[test]
    fn halves_of_a_head_are_interleaved() {
        let rows: Vec<usize> = (0..12).map(|row| interleaved(row, 6)).collect();
        assert_eq!(rows, [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
    }
}
