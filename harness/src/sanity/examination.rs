//! What all models are asked, as tokens: the same for every form and for the base.

use std::path::{Path, PathBuf};

use shipworthy_datasets::{
    Conversation, DatasetOptions, ExcessLength, ModelTokenizer, TemplateOptions, TextTokenizer,
    TokenisedDataset, TokenisedExample, TokenizerFault, read_messages,
};
use shipworthy_models::ModelConfig;
use shipworthy_models::gguf::GgufFile;

use super::error::SanityError;
use super::request::{Form, SanityRequest};
use super::tasks::{self, PreparedTask};
use super::windows;

/// Conversations that are looked at where there is no data.
const PROBES: &str = include_str!("probes.jsonl");

/// What models are asked.
pub(super) struct Examination {
    /// The tokenizer for plain text.
    pub(super) tokenizer: TextTokenizer,
    /// Held-out conversations; empty where there are none.
    pub(super) held_out: Vec<TokenisedExample>,
    /// Tasks, in the request's order.
    pub(super) tasks: Vec<PreparedTask>,
    /// Conversations to compare forms by and to have answered, or why there are none.
    pub(super) probes: Result<Vec<Probe>, String>,
    /// Tokens of the longest sequence that a model has to read.
    pub(super) longest: usize,
}

/// A conversation to compare forms by, and to have answered.
pub(super) struct Probe {
    /// All of it as text.
    pub(super) text: String,
    /// All of it as tokens, every one of which counts.
    pub(super) example: TokenisedExample,
    /// The tokens up to the last reply.
    pub(super) prompt: Vec<u32>,
}

impl Examination {
    /// Prepares what the request names; `None` where there is no tokenizer to do it with, and nothing
    /// that was asked for needs one.
    pub(super) fn new(request: &SanityRequest) -> Result<Option<Self>, SanityError> {
        let Some(directory) = tokenizer_directory(request) else {
            if request.data.is_none() && request.tasks.is_empty() {
                return Ok(None);
            }
            return Err(SanityError::Request {
                detail: "held-out data and tasks need a tokenizer, and a GGUF file has none that \
                         is used here: name the checkpoint's directory as `tokenizer`"
                    .to_owned(),
            });
        };
        let (vocab_size, max_length) = sizes(request)?;
        let tokenizer = TextTokenizer::open(&directory)?;
        let chat = match ModelTokenizer::open(&directory, vocab_size, TemplateOptions::default()) {
            Ok(chat) => Ok(chat),
            Err(error @ TokenizerFault::NoTemplate { .. })
                if request.data.as_deref().is_none_or(is_text) =>
            {
                Err(error.to_string())
            }
            Err(error) => return Err(error.into()),
        };
        let held_out = match (&request.data, &chat) {
            (Some(data), _) if is_text(data) => {
                let most = max_length.unwrap_or(usize::MAX);
                windows::read(data, &tokenizer, request.limits.text_window.min(most))?
            }
            (Some(data), Ok(chat)) => held_out(data, chat)?,
            _ => Vec::new(),
        };
        let probes = match chat {
            Ok(chat) => Ok(probes(request, &chat)?),
            Err(reason) => Err(reason),
        };
        let prepared = request.tasks.iter().map(|path| {
            let task = tasks::read(path)?;
            PreparedTask::new(path, task, &tokenizer, max_length)
        });
        let tasks: Vec<PreparedTask> = prepared.collect::<Result<_, _>>()?;
        let of_probes = probes.iter().flatten().map(|probe| {
            let answered = probe.prompt.len() + request.limits.reply_tokens;
            answered.max(probe.example.tokens.len())
        });
        let longest = (held_out.iter().map(|example| example.tokens.len()))
            .chain(tasks.iter().map(PreparedTask::longest))
            .chain(of_probes)
            .max();
        Ok(Some(Self {
            longest: longest.unwrap_or(1),
            tokenizer,
            held_out,
            tasks,
            probes,
        }))
    }
}

/// Tells whether data is plain text rather than conversations.
fn is_text(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "txt")
}

/// Returns where tokenizer and chat template are: the directory named, else the first checkpoint's.
fn tokenizer_directory(request: &SanityRequest) -> Option<PathBuf> {
    let is_checkpoint = |form: &Form<'_>| matches!(form, Form::Checkpoint(_));
    let mut forms = vec![request.base_form()];
    forms.extend(request.forms());
    let checkpoint = forms.iter().find(|form| is_checkpoint(form));
    let named = request.tokenizer.clone();
    named.or_else(|| checkpoint.map(|form| form.path().to_owned()))
}

/// Returns how many tokens the base's vocabulary has, and how many it reads at most, where its files
/// say so.
fn sizes(request: &SanityRequest) -> Result<(u32, Option<usize>), SanityError> {
    match request.base_form() {
        Form::Gguf(path) => {
            let file = GgufFile::open(path)?;
            let values = file.key_values();
            let architecture = values.get("general.architecture");
            let trained = architecture.and_then(|name| {
                let key = format!("{}.context_length", name.as_str()?);
                usize::try_from(values.get(&key)?.as_u64()?).ok()
            });
            let size = file.vocab_size().ok_or_else(|| SanityError::Request {
                detail: format!("`{}` has no `tokenizer.ggml.tokens`", path.display()),
            })?;
            Ok((size, trained))
        }
        Form::Adapter(path) | Form::Checkpoint(path) => {
            let sizes = ModelConfig::read(path)?.hyper_parameters()?;
            Ok((
                sizes.vocab_size,
                Some(sizes.max_position_embeddings as usize),
            ))
        }
    }
}

fn held_out(path: &Path, chat: &ModelTokenizer) -> Result<Vec<TokenisedExample>, SanityError> {
    // A longer example is no example of a model's.
    let options = DatasetOptions {
        max_length: 1 << 20,
        excess_length: ExcessLength::Raise,
    };
    Ok(TokenisedDataset::read(path, chat, &options)?.examples)
}

/// Makes probes of the first held-out conversations, or of some of ours.
fn probes(request: &SanityRequest, chat: &ModelTokenizer) -> Result<Vec<Probe>, SanityError> {
    let conversations = match &request.data {
        Some(path) if !is_text(path) => read_messages(path)?,
        _ => ours(),
    };
    let failed = |id: &str, error: &dyn std::fmt::Display| SanityError::Request {
        detail: format!("{id}: {error}"),
    };
    let mut probes = Vec::new();
    for conversation in conversations.iter().take(request.limits.prompts) {
        let id = conversation.id();
        let rendering = chat
            .render(conversation)
            .map_err(|error| failed(id, &error))?;
        let messages = conversation.messages();
        let is_reply = |message: &serde_json::Value| message["role"] == "assistant";
        let asked = messages.len()
            - messages
                .iter()
                .rev()
                .take_while(|one| is_reply(one))
                .count();
        let prompt = chat.prompt(&messages[..asked], conversation.tools());
        let mut example = rendering.example;
        example.labelled = vec![true; example.tokens.len()];
        probes.push(Probe {
            text: rendering.text,
            prompt: prompt.map_err(|error| failed(id, &error))?,
            example,
        });
    }
    Ok(probes)
}

fn ours() -> Vec<Conversation> {
    let lines = PROBES.lines().enumerate();
    let read = lines.map(|(idx, line)| Conversation::parse(&format!("probe {}", idx + 1), line));
    read.collect::<Result<_, _>>()
        .expect("the conversations are well formed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversations_of_ours_are_well_formed() {
        assert_eq!(ours().len(), 8);
    }
}
