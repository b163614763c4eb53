use super::chat::{ChatTokens, no_template};
use super::checkpoint::Examined;
use super::finding::Finding;
use super::naming::Training;
use crate::error::{ModelError, TensorProblem};
use crate::tensor_file::TensorFile;
use crate::tokenizer::{SpecialToken, TokenKind, Vocabulary, VocabularyModel};

const GENERATION_CONFIG: &str = "generation_config.json";
/// Name of the embedding's tensor behind whatever stands before it.
const EMBEDDING: &str = "embed_tokens.weight";

impl Examined {
    /// Returns what is doubtful about the checkpoint.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.weights(&mut findings);
        self.training(&mut findings);
        self.tokenizer(&mut findings);
        match &self.description.chat {
            Some(chat) => chat.findings(&self.chat_tokens(), &mut findings),
            None => findings.push(no_template()),
        }
        findings.extend(self.card_error.as_deref().map(model_card));
        findings
    }

    fn weights(&self, findings: &mut Vec<Finding>) {
        let description = &self.description;
        match (&description.quantisation, &self.checkpoint) {
            (Some(quantisation), _) => findings.push(Finding::warning(
                "quantised",
                format!("the weights are quantised ({})", quantisation.method),
                "an adapter merged into them would mostly be rounded away",
                "merge into and convert the 16-bit checkpoint that this was made from",
            )),
            (None, None) => findings.push(Finding::warning(
                "no-weights",
                "there is no model.safetensors and no model.safetensors.index.json",
                "there is nothing to merge, convert or serve",
                "finish the download; save pickled weights (.bin, .pth) as safetensors",
            )),
            (None, Some(_)) => {}
        }
        if description.ties_embeddings {
            findings.push(Finding::note(
                "tied-head",
                "head and embedding are one tensor (tie_word_embeddings)",
                "an adapter on lm_head alone would change both, so it cannot be merged or converted",
                "leave lm_head out of an adapter's target_modules",
            ));
        }
        let vocab_size = u64::from(description.sizes.vocab_size);
        if let Some((name, rows)) = self.embedding_rows()
            && rows != vocab_size
            && description.quantisation.is_none()
        {
            findings.push(Finding::warning(
                "embedding-rows",
                format!("`{name}` has {rows} rows, config.json says vocab_size {vocab_size}"),
                "runtimes refuse the weights, or leave tokens without a vector",
                "set vocab_size to the rows, in `text_config` if it stands there",
            ));
        } else if let Some(ModelError::Tensor {
            tensor,
            problem: TensorProblem::Shape { found, expected },
            ..
        }) = self.misshapen()
        {
            findings.push(Finding::warning(
                "shapes",
                format!("`{tensor}` has shape {found:?}, config.json gives {expected:?}"),
                "weights and configuration are of different models; nothing can be trained, merged or served",
                "take the config.json that belongs to the weights, or download both anew",
            ));
        }
    }

    /// Returns why the weights are not those that `config.json` describes, if they are not.
    fn misshapen(&self) -> Option<ModelError> {
        let checkpoint = self.checkpoint.as_ref();
        let plain = checkpoint.filter(|_| self.description.quantisation.is_none())?;
        plain.check_shapes().err()
    }

    fn embedding_rows(&self) -> Option<(&str, u64)> {
        let shards = self.checkpoint.as_ref()?.shards().iter();
        let mut tensors = shards.flat_map(TensorFile::tensors);
        let embedding = tensors.find(|tensor| tensor.name.ends_with(EMBEDDING))?;
        Some((&embedding.name, *embedding.shape.first()? as u64))
    }

    fn training(&self, findings: &mut Vec<Finding>) {
        if self.description.training == Training::Base {
            findings.push(base_model("by its name, this is a base model"));
        }
    }

    fn tokenizer(&self, findings: &mut Vec<Finding>) {
        let Some(vocabulary) = &self.vocabulary else {
            let what = match &self.tokenizer_error {
                Some(error) => format!("the tokenizer cannot be converted: {error}"),
                None => "there is no tokenizer.json and no tokenizer.model".to_owned(),
            };
            findings.push(Finding::warning(
                "tokenizer",
                what,
                "a GGUF file carries its tokenizer",
                "take the tokenizer's files from the model that it was tuned from",
            ));
            return;
        };
        self.ends(vocabulary, findings);
        let padding = vocabulary.special(SpecialToken::Padding);
        if padding.is_some() && padding == vocabulary.special(SpecialToken::Eos) {
            findings.push(pad_is_eos());
        }
        let unlisted = vocabulary.unlisted_merges();
        if unlisted > 0 {
            findings.push(Finding::warning(
                "unlisted-merges",
                format!(
                    "llama.cpp would merge {unlisted} pairs of tokens that tokenizer.json does not"
                ),
                "some texts would be other tokens there than in training",
                "add tokenizer.model, or train and serve with the same tokenizer",
            ));
        }
        let is_legacy = self
            .tokenizer_config
            .get("legacy")
            .and_then(serde_json::Value::as_bool);
        let spaces = vocabulary.add_space_prefix() != Some(false);
        if vocabulary.model() == VocabularyModel::Llama && spaces && is_legacy == Some(false) {
            findings.push(Finding::warning(
                "space-after-control-token",
                "tokenizer_config.json says `legacy: false`",
                "llama.cpp puts a space before text that follows a control token, transformers then \
                 does not: templates give other tokens in training than when served",
                "train with `legacy: true`, or compare the tokens of a rendered conversation",
            ));
        }
    }

    /// Compares where generation stops with the tokenizer's EOS.
    fn ends(&self, vocabulary: &Vocabulary, findings: &mut Vec<Finding>) {
        let Some(eos) = vocabulary.special(SpecialToken::Eos) else {
            return;
        };
        let stops = &self.description.generation_eos;
        if stops.is_empty() || stops.contains(&u64::from(eos)) {
            return;
        }
        let shown = |id: u64| match usize::try_from(id)
            .ok()
            .and_then(|id| vocabulary.tokens().get(id))
        {
            Some(token) => format!("{id} `{}`", token.text),
            None => format!("{id}, which is no token"),
        };
        let stops: Vec<String> = stops.iter().map(|&id| shown(id)).collect();
        findings.push(Finding::warning(
            "eos-differs",
            format!(
                "generation_config.json stops at {}, the tokenizer's EOS is {}",
                stops.join(", "),
                shown(u64::from(eos)),
            ),
            "trainers write the tokenizer's EOS, transformers waits for the other; a GGUF file has \
             the tokenizer's",
            "give both the token that ends an assistant's turn",
        ));
    }

    /// Returns the tokens that matter to a chat template.
    fn chat_tokens(&self) -> ChatTokens {
        let named = |name: &str| self.special_tokens.get(name).map(str::to_owned);
        let Some(vocabulary) = &self.vocabulary else {
            return ChatTokens {
                ends: named("eos_token").into_iter().collect(),
                ends_are_named_in: GENERATION_CONFIG,
                ..ChatTokens::default()
            };
        };
        let tokens = vocabulary.tokens();
        let text = |id: u64| {
            let token = usize::try_from(id).ok().and_then(|id| tokens.get(id));
            token.map(|token| token.text.clone())
        };
        let special = |token| vocabulary.special(token).and_then(|id| text(u64::from(id)));
        let mut ends: Vec<String> = self
            .description
            .generation_eos
            .iter()
            .filter_map(|&id| text(id))
            .chain(named("eos_token"))
            .chain(special(SpecialToken::Eos))
            .chain(special(SpecialToken::Eot))
            .filter(|end| !end.is_empty())
            .collect();
        let mut seen = std::collections::BTreeSet::new();
        ends.retain(|end| seen.insert(end.clone()));
        let control = tokens
            .iter()
            .filter(|token| token.kind == TokenKind::Control);
        let adds_bos = vocabulary.add_bos().unwrap_or(match vocabulary.model() {
            VocabularyModel::Llama => true,
            VocabularyModel::Gpt2 => false,
        });
        let bos = named("bos_token").or_else(|| special(SpecialToken::Bos));
        ChatTokens {
            ends,
            control: control.map(|token| token.text.clone()).collect(),
            added_bos: bos.filter(|_| adds_bos),
            ends_are_named_in: GENERATION_CONFIG,
        }
    }
}

/// Returns that a model, told by `what`, was not trained to chat.
pub(super) fn base_model(what: &str) -> Finding {
    Finding::warning(
        "base-model",
        what,
        "a base model continues text; a small data set hardly teaches it to chat",
        "tune the instruct model of the same family and size, unless this is meant",
    )
}

pub(super) fn pad_is_eos() -> Finding {
    Finding::note(
        "pad-is-eos",
        "the padding token is the EOS token",
        "a trainer that leaves padding out of the loss leaves every EOS out: no stopping is learnt",
        "name another padding token, or mask padding by position",
    )
}

pub(super) fn model_card(error: &str) -> Finding {
    Finding::warning(
        "model-card",
        format!("the model card cannot be read: {error}"),
        "licence and lineage stand there",
        "mend the YAML between the two lines of `---` in README.md",
    )
}
