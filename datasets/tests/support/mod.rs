//! Checkpoints without weights, made of the golden tokenizers and templates.

use std::path::{Path, PathBuf};

use serde_json::Value;
use shipworthy_datasets::{ModelTokenizer, TemplateOptions};
use tempfile::TempDir;

pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/golden")
        .join(name)
}

/// Reads a golden template: `training_masks/llama3.jinja`, or one of `chat_templates`.
pub(crate) fn template(name: &str) -> String {
    let path = match name.strip_prefix("training_masks/") {
        Some(name) => golden("training_masks/templates").join(name),
        None => golden("chat_templates/templates").join(name),
    };
    std::fs::read_to_string(path).unwrap()
}

/// Makes a directory with a golden tokenizer and a template.
pub(crate) fn checkpoint(tokenizer: &str, template: Option<&str>) -> TempDir {
    let from = golden("tokenizers").join(tokenizer);
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(
        from.join("tokenizer.json"),
        directory.path().join("tokenizer.json"),
    )
    .unwrap();
    let text = std::fs::read_to_string(from.join("tokenizer_config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config.as_object_mut().unwrap().remove("chat_template");
    std::fs::write(
        directory.path().join("tokenizer_config.json"),
        config.to_string(),
    )
    .unwrap();
    if let Some(template) = template {
        std::fs::write(directory.path().join("chat_template.jinja"), template).unwrap();
    }
    directory
}

/// Opens a golden tokenizer with a template's source.
pub(crate) fn tokenizer(name: &str, template: &str) -> ModelTokenizer {
    let directory = checkpoint(name, Some(template));
    ModelTokenizer::open(directory.path(), 500, TemplateOptions::default()).unwrap()
}

/// Shows which text is learnt: `…[reply<|im_end|>]…`.
pub(crate) fn marked(preview: &shipworthy_datasets::MaskPreview) -> String {
    let runs = preview.runs.iter().map(|run| {
        if run.labelled {
            format!("[[{}]]", run.text)
        } else {
            run.text.clone()
        }
    });
    runs.collect()
}
