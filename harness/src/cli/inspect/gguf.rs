use indicatif::HumanBytes;
use shipworthy_models::{ChatDescription, GgufDescription};

use super::super::page::{Page, counted, grouped, listed, number};
use super::chat::{show_template, show_tokenizer};

pub(super) fn show(file: &GgufDescription, chat: Option<&ChatDescription>, page: &mut Page) {
    let kind = match (&file.adapter, file.kind.as_deref()) {
        (Some(_), _) => "an adapter's GGUF file".to_owned(),
        (None, None | Some("model")) => "a GGUF file".to_owned(),
        (None, Some(other)) => format!("a GGUF file ({other})"),
    };
    page.title(file.name.as_deref(), &kind);
    page.block();
    page.row(
        "architecture",
        file.architecture.as_deref().unwrap_or("it does not say"),
    );
    page.row("version", format!("{} of the format", file.version));
    if let Some(split) = file.split {
        page.row("part", format!("{} of {}", split.part, split.parts));
    }
    page.row("parameters", counted(file.parameters));
    page.row_if("size", file.size_label.as_deref());
    page.row_if("file type", file.file_type.as_deref());
    let bits = file.bits_per_weight;
    let bits = bits.map(|bits| format!(", {bits:.2} bits per weight"));
    page.row(
        "bytes",
        format!("{}{}", HumanBytes(file.bytes), bits.unwrap_or_default()),
    );
    let types = file.tensor_types.iter().map(|count| {
        let tensors = grouped(count.tensors);
        format!(
            "{tensors} {} ({})",
            count.tensor_type,
            HumanBytes(count.bytes)
        )
    });
    page.row_if("tensors", Some(listed(&types.collect::<Vec<_>>())));
    if let Some(adapter) = &file.adapter {
        let ranks: Vec<String> = adapter.ranks.iter().map(u64::to_string).collect();
        page.row_if("adapter", adapter.kind.as_deref());
        page.row_if("rank", Some(listed(&ranks)));
        page.row_if("alpha", adapter.alpha.map(|alpha| number(f64::from(alpha))));
        if let (Some(alpha), &[rank]) = (adapter.alpha, adapter.ranks.as_slice()) {
            page.row("scale", number(f64::from(alpha) / rank.max(1) as f64));
        }
        page.row("modules", grouped(adapter.modules));
    }
    page.row_if("licence", file.license.as_deref());
    page.row_if("languages", Some(listed(&file.languages)));
    page.sources("made from", &file.base_models);
    page.sources("trained on", &file.datasets);
    page.block();
    page.row_if("layers", file.block_count.map(grouped));
    page.row_if("hidden size", file.embedding_length.map(grouped));
    let key_value = file
        .head_count_kv
        .map(|heads| format!(", key/value heads {heads}"));
    let heads = file
        .head_count
        .map(|heads| format!("{heads}{}", key_value.unwrap_or_default()));
    page.row_if("heads", heads);
    let context = file
        .context_length
        .map(|tokens| format!("{} tokens", grouped(tokens)));
    page.row_if("context", context);
    if file.adapter.is_some() {
        return;
    }
    page.block();
    if let Some(tokenizer) = &file.tokenizer {
        show_tokenizer(tokenizer, 0, page);
    } else {
        page.row("tokenizer", "none");
    }
    show_template(chat, page);
}
