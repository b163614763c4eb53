use safetensors::Dtype;

use super::adapter_findings::not_finite;
use super::chat::{ChatDescription, ChatTokens, no_template};
use super::checkpoint_findings::{base_model, pad_is_eos};
use super::finding::Finding;
use super::finite::{first_not_finite, is_zero};
use super::gguf::GgufDescription;
use super::naming::Training;
use crate::chat_template::{ChatTemplates, SpecialTokens};
use crate::gguf::{GgufFile, StoredTensor, StringArray, TensorType, Value};

/// Tokens at which llama.cpp stops wherever a vocabulary has them (`llama-vocab.cpp`).
const KNOWN_ENDS: [&str; 10] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    "</s>",
    "<eos>",
];
/// Ways to split text after which llama.cpp adds a BOS unless the file says otherwise.
const BOS_UNLESS_SAID: [&str; 4] = ["llama-bpe", "llama3", "llama-v3", "tekken"];
/// GGUF's number of control tokens.
const CONTROL: u64 = 3;

impl GgufDescription {
    /// Returns what is doubtful about the file, from which this description was made.
    pub(super) fn findings(&self, file: &GgufFile) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(split) = self.split {
            let (part, parts) = (split.part, split.parts);
            findings.push(Finding::warning(
                "split",
                format!("this is part {part} of {parts} of a model; the rest is not looked at"),
                "tensors and bytes are this part's; all but the first part say little else",
                "join them: `llama-gguf-split --merge FIRST_PART OUT.gguf`",
            ));
        }
        if self.adapter.is_some() {
            adapter_values(file, &mut findings);
        } else if self.split.is_none_or(|split| split.part == 1) {
            self.model(file, &mut findings);
        }
        findings
    }

    fn model(&self, file: &GgufFile, findings: &mut Vec<Finding>) {
        let name = self.name.as_deref().unwrap_or_default();
        if Training::of_name(name) == Training::Base {
            findings.push(base_model("by its name, this is a base model"));
        }
        let role = |name: &str| {
            let tokenizer = self.tokenizer.as_ref()?;
            tokenizer.special.iter().find(|token| token.role == name)
        };
        if let (Some(padding), Some(eos)) = (role("padding"), role("eos"))
            && padding.id == eos.id
        {
            findings.push(pad_is_eos());
        }
        match self.chat(file) {
            Some(chat) => chat.findings(&self.chat_tokens(file), findings),
            None if self.tokenizer.is_some() => findings.push(no_template()),
            None => findings.push(Finding::warning(
                "tokenizer",
                "there is no tokenizer",
                "llama.cpp cannot turn text into tokens",
                "convert the checkpoint again, with its tokenizer's files",
            )),
        }
    }

    /// Looks at the chat template, if there is one.
    pub(super) fn chat(&self, file: &GgufFile) -> Option<ChatDescription> {
        let values = file.key_values();
        let named = self.named_chat_templates.iter().filter_map(|name| {
            let key = format!("tokenizer.chat_template.{name}");
            Some((name.clone(), values.get(&key)?.as_str()?.to_owned()))
        });
        let templates = ChatTemplates {
            default: self.chat_template.clone(),
            named: named.collect(),
        };
        let token = |role: &str| {
            let tokenizer = self.tokenizer.as_ref()?;
            let found = tokenizer.special.iter().find(|token| token.role == role)?;
            Some((format!("{role}_token"), found.token.clone()?))
        };
        let tokens: SpecialTokens = [token("bos"), token("eos")].into_iter().flatten().collect();
        ChatDescription::of(&templates, &tokens)
    }

    fn chat_tokens(&self, file: &GgufFile) -> ChatTokens {
        let values = file.key_values();
        let tokens = values
            .get("tokenizer.ggml.tokens")
            .and_then(Value::as_strings);
        let texts = || tokens.into_iter().flat_map(StringArray::iter);
        let special = self
            .tokenizer
            .iter()
            .flat_map(|tokenizer| &tokenizer.special);
        let of_role = |roles: &'static [&'static str]| {
            let special = special.clone().filter(|token| roles.contains(&token.role));
            special.filter_map(|token| token.token.clone())
        };
        let mut ends: Vec<String> = of_role(&["eos", "eot", "eom"]).collect();
        let known = texts().filter(|text| KNOWN_ENDS.contains(text));
        ends.extend(known.map(str::to_owned));
        let mut seen = std::collections::BTreeSet::new();
        ends.retain(|end| !end.is_empty() && seen.insert(end.clone()));
        let kinds = values
            .get("tokenizer.ggml.token_type")
            .and_then(Value::as_array);
        let is_control = |idx: usize| match kinds {
            Some(crate::gguf::Array::I32(kinds)) => {
                let kind = kinds.get(idx).copied().unwrap_or(0);
                u64::try_from(kind) == Ok(CONTROL)
            }
            _ => false,
        };
        let control = texts().enumerate().filter(|(idx, _)| is_control(*idx));
        let tokenizer = self.tokenizer.as_ref();
        let adds_bos = tokenizer.is_some_and(|tokenizer| {
            let is_usual = tokenizer.model.as_deref() == Some("llama")
                || tokenizer
                    .pre
                    .as_deref()
                    .is_some_and(|pre| BOS_UNLESS_SAID.contains(&pre));
            tokenizer.adds_bos.unwrap_or(is_usual)
        });
        ChatTokens {
            ends,
            control: control.map(|(_, text)| text.to_owned()).collect(),
            added_bos: of_role(&["bos"]).next().filter(|_| adds_bos),
            ends_are_named_in: "the checkpoint's tokenizer_config.json and convert again",
        }
    }
}

/// Looks at all values of an adapter.
fn adapter_values(file: &GgufFile, findings: &mut Vec<Finding>) {
    let dtype = |tensor: &StoredTensor| match tensor.tensor_type() {
        TensorType::F32 => Some(Dtype::F32),
        TensorType::F16 => Some(Dtype::F16),
        TensorType::BF16 => Some(Dtype::BF16),
        _ => None,
    };
    let of_b = || {
        file.tensors()
            .iter()
            .filter(|tensor| tensor.name().ends_with(".lora_b"))
    };
    let modules = of_b().count();
    let is_zero = |tensor: &&StoredTensor| {
        dtype(tensor).is_some_and(|dtype| is_zero(dtype, file.data(tensor)))
    };
    if modules > 0 && of_b().all(|tensor| is_zero(&tensor)) {
        findings.push(Finding::warning(
            "untrained",
            format!("lora_b is zero in all {modules} modules: the adapter changes nothing"),
            "it was saved before the first step, or no gradient reached it",
            "see that training's loss falls, then convert again",
        ));
    }
    let bad = file.tensors().iter().find_map(|tensor| {
        let within = first_not_finite(dtype(tensor)?, file.data(tensor))?;
        Some((tensor, tensor.offset() + within as u64))
    });
    if let Some((tensor, offset)) = bad {
        let name = file
            .path()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        findings.push(not_finite(&name, tensor.name(), offset));
    }
}
