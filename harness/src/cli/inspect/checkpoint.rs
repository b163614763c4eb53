use indicatif::HumanBytes;
use shipworthy_models::{CheckpointDescription, SizesDescription, WeightsDescription};

use super::super::page::{Page, counted, grouped, listed, number, some};
use super::chat::{show_template, show_tokenizer, training};

pub(super) fn show(checkpoint: &CheckpointDescription, page: &mut Page) {
    page.title(checkpoint.name.as_deref(), "a checkpoint");
    page.block();
    let family = match &checkpoint.architecture {
        Some(architecture) => format!("{} ({architecture})", checkpoint.family),
        None => checkpoint.family.to_owned(),
    };
    page.row("family", family);
    page.row_if("trained for", training(checkpoint.training));
    page.row_if("parameters", checkpoint.parameters.map(counted));
    match &checkpoint.weights {
        Some(weights) => page.row("weights", stored(weights)),
        None => page.row("weights", "none"),
    }
    if let Some(quantisation) = &checkpoint.quantisation {
        let bits = quantisation.bits.map(|bits| format!("{bits} bits"));
        let parts = [
            Some(quantisation.method.clone()),
            bits,
            quantisation.kind.clone(),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        page.row("quantised", parts.join(", "));
    }
    page.row_if("licence", checkpoint.license.as_deref());
    page.row_if("languages", Some(listed(&checkpoint.languages)));
    page.sources("made from", &checkpoint.base_models);
    page.sources("trained on", &checkpoint.datasets);
    page.block();
    sizes(&checkpoint.sizes, page);
    let head = if checkpoint.ties_embeddings {
        "tied to the embedding"
    } else {
        "of its own"
    };
    page.row("head", head);
    page.block();
    if let Some(tokenizer) = &checkpoint.tokenizer {
        let without_token = checkpoint.rows_without_token.unwrap_or(0);
        show_tokenizer(tokenizer, without_token, page);
    } else {
        page.row("tokenizer", "none");
    }
    let stops: Vec<String> = checkpoint
        .generation_eos
        .iter()
        .map(u64::to_string)
        .collect();
    page.row_if("stops at", Some(listed(&stops)));
    show_template(checkpoint.chat.as_ref(), page);
}

/// Returns how much is stored as what.
pub(super) fn stored(weights: &WeightsDescription) -> String {
    let dtypes: Vec<String> = weights
        .dtypes
        .iter()
        .map(|dtype| match weights.dtypes.len() {
            1 => dtype.dtype.clone(),
            _ => format!(
                "{} {} ({})",
                grouped(dtype.tensors),
                dtype.dtype,
                HumanBytes(dtype.bytes)
            ),
        })
        .collect();
    format!(
        "{} in {}, {}: {}",
        HumanBytes(weights.bytes),
        some(weights.files, "file"),
        some(weights.tensors, "tensor"),
        dtypes.join(", "),
    )
}

fn sizes(sizes: &SizesDescription, page: &mut Page) {
    page.row(
        "layers",
        format!(
            "{}, hidden size {}, intermediate size {}",
            sizes.layers,
            grouped(sizes.hidden_size),
            grouped(sizes.intermediate_size),
        ),
    );
    page.row(
        "heads",
        format!(
            "{}, key/value heads {}, head size {}",
            sizes.heads, sizes.key_value_heads, sizes.head_dim,
        ),
    );
    page.row("vocabulary", grouped(sizes.vocab_size));
    page.row(
        "context",
        format!("{} tokens", grouped(sizes.context_length)),
    );
    let mut rope = format!("theta {}", number(sizes.rope_theta));
    if let Some(local) = sizes.rope_local_theta {
        rope.push_str(&format!(", {} in layers with a window", number(local)));
    }
    if let Some(scaling) = &sizes.rope_scaling {
        rope.push_str(&format!(
            ", {} scaling ×{}",
            scaling.kind,
            number(scaling.factor)
        ));
        if let Some(original) = scaling.original_context_length {
            rope.push_str(&format!(" of {} tokens", grouped(original)));
        }
    }
    page.row("rope", rope);
    if let Some(window) = sizes.sliding_window {
        let window = grouped(window);
        let (with, all) = (sizes.sliding_layers, sizes.layers);
        page.row(
            "window",
            format!("{window} tokens in {with} of {all} layers"),
        );
    }
}
