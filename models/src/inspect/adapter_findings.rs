use super::adapter::AdapterDescription;
use super::checkpoint_findings::{base_model, model_card};
use super::finding::Finding;
use super::naming::Training;

/// Ends of names that tell of a base whose weights were quantised.
const QUANTISED: [&str; 5] = ["bnb-4bit", "4bit", "awq", "gptq", "8bit"];

impl AdapterDescription {
    /// Returns what is doubtful about the adapter.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.values(&mut findings);
        self.base(&mut findings);
        self.form(&mut findings);
        findings.extend(self.card_error.as_deref().map(model_card));
        findings
    }

    fn values(&self, findings: &mut Vec<Finding>) {
        let modules: u64 = self.modules.iter().map(|(_, count)| count).sum();
        if self.zero_modules > 0 && self.zero_modules == modules {
            findings.push(Finding::warning(
                "untrained",
                format!("lora_B is zero in all {modules} modules: the adapter changes nothing"),
                "it was saved before the first step, or no gradient reached it",
                "see that training's loss falls; with gradient checkpointing, call \
                 `enable_input_require_grads()`",
            ));
        } else if self.zero_modules > 0 {
            findings.push(Finding::warning(
                "partly-untrained",
                format!(
                    "lora_B is zero in {} of {modules} modules",
                    self.zero_modules
                ),
                "no gradient reached these, so they change nothing",
                "see which of target_modules the model really uses",
            ));
        }
        if let Some(place) = &self.not_finite {
            findings.push(not_finite(&place.file, &place.tensor, place.offset));
        }
    }

    fn base(&self, findings: &mut Vec<Finding>) {
        let trained_on = self.base_model.as_deref().unwrap_or_default();
        if self.base_training == Training::Base {
            let what = format!("it was trained on `{trained_on}`, by its name a base model");
            findings.push(base_model(&what));
        }
        let name = trained_on.to_lowercase();
        if QUANTISED.iter().any(|end| name.ends_with(end)) {
            findings.push(Finding::note(
                "quantised-base",
                format!("it was trained on `{trained_on}`, by its name quantised"),
                "an adapter merged into quantised weights is mostly rounded away",
                "merge it into the 16-bit model, and measure before and after",
            ));
        }
        let Some(base) = &self.base else {
            return;
        };
        if base.name_matches == Some(false) {
            findings.push(Finding::warning(
                "another-base",
                format!(
                    "it was trained on `{trained_on}`, the base given is `{}`",
                    base.names.join("`, `"),
                ),
                "on other weights an adapter of the same shapes does harm, silently",
                "give the model it was trained on; if only the name differs, all is well",
            ));
        }
        if let Some(misfit) = &base.misfit {
            findings.push(Finding::warning(
                "misfit",
                format!("it cannot be merged into the base given: {misfit}"),
                "it was trained on another model, or the base was changed since",
                "give the model it was trained on",
            ));
        }
    }

    fn form(&self, findings: &mut Vec<Finding>) {
        let mut parts = Vec::new();
        if self.kind.contains("DoRA") {
            parts.push("DoRA");
        }
        if !self.modules_to_save.is_empty() {
            parts.push("modules_to_save");
        }
        if !parts.is_empty() {
            findings.push(Finding::note(
                "not-an-adapter-gguf",
                format!("{} cannot be an adapter's GGUF file", parts.join(" and ")),
                "llama.cpp knows low-rank changes only",
                "merge it: `shipworthy gguf --model BASE --adapter THIS`",
            ));
        }
        if let Some(error) = self.chat.as_ref().and_then(|chat| chat.error.as_ref()) {
            findings.push(Finding::warning(
                "template-error",
                format!("the chat template beside it cannot render a plain conversation: {error}"),
                "training and serving both render conversations with it",
                "mend it there, or take the template of the base",
            ));
        }
    }
}

pub(super) fn not_finite(file: &str, tensor: &str, offset: u64) -> Finding {
    Finding::warning(
        "not-finite",
        format!("`{file}`, tensor `{tensor}`: the value at byte {offset} is infinite or NaN"),
        "everything that it reaches becomes NaN too",
        "take an earlier checkpoint of the training, and look at its loss and gradient norm",
    )
}
