use shipworthy_models::{ChatDescription, SystemRole, TokenizerDescription, Training};

use super::super::page::{Page, grouped, listed};

/// Shows the tokenizer; `without_token`: rows of the embedding that no token has.
pub(super) fn show_tokenizer(
    tokenizer: &TokenizerDescription,
    without_token: u64,
    page: &mut Page,
) {
    let model = match tokenizer.model.as_deref() {
        Some("gpt2") => "byte-level BPE",
        Some("llama") => "SentencePiece BPE",
        Some(other) => other,
        None => "of no known kind",
    };
    let mut text = format!("{model}, {} tokens", grouped(tokenizer.tokens));
    if without_token > 0 {
        text.push_str(&format!(
            " (and {} rows without one)",
            grouped(without_token)
        ));
    }
    page.row("tokenizer", text);
    page.row_if("pre-tokenizer", tokenizer.pre.as_deref());
    let adds: Vec<&str> = [
        (tokenizer.adds_bos, "BOS before"),
        (tokenizer.adds_eos, "EOS after"),
    ]
    .iter()
    .filter_map(|(adds, name)| adds.unwrap_or(false).then_some(*name))
    .collect();
    page.row_if("adds", Some(adds.join(", ")));
    for token in &tokenizer.special {
        let text = match &token.token {
            Some(text) => format!("{} `{text}`", token.id),
            None => format!("{}, which is no token", token.id),
        };
        page.row(token.role, text);
    }
}

/// Shows the chat template, or that there is none.
pub(super) fn show_template(chat: Option<&ChatDescription>, page: &mut Page) {
    let Some(chat) = chat else {
        page.row("chat template", "none");
        return;
    };
    let mut text = format!("{} ({} bytes)", chat.name, grouped(chat.bytes));
    let others: Vec<&str> = chat.names.iter().map(String::as_str).collect();
    let others: Vec<&str> = others
        .into_iter()
        .filter(|name| *name != chat.name)
        .collect();
    if !others.is_empty() {
        text.push_str(&format!("; also {}", listed(&others)));
    }
    page.row("chat template", text);
    let Some(features) = &chat.features else {
        return;
    };
    let system = match features.system {
        SystemRole::Written => "system message",
        SystemRole::LeftOut => "system message left out",
        SystemRole::Refused => "no system message",
    };
    let has = |has: bool, what: &str| format!("{}{what}", if has { "" } else { "no " });
    let list = [
        system.to_owned(),
        has(features.tools, "tools"),
        has(features.generation_prompt, "generation prompt"),
        has(chat.generation_markers == Some(true), "generation markers"),
    ];
    page.row("  takes", list.join(", "));
    let end = features.after_last_answer.replace('\n', "\\n");
    if !end.is_empty() {
        page.row("  turn ends", format!("`{end}`"));
    }
}

/// Returns what a model was trained for, if its name tells.
pub(super) fn training(training: Training) -> Option<&'static str> {
    match training {
        Training::Base => Some("continuing text (a base model, by its name)"),
        Training::Instruct => Some("chat (an instruct model, by its name)"),
        Training::Unknown => None,
    }
}
