use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use shipworthy_models::{
    ChatInput, ChatTemplate, ChatTemplateError, ChatTemplates, LocalTime, RenderedChat,
    SpecialTokens,
};
use thiserror::Error;
use tokenizers::Tokenizer;

use crate::render_error::RenderError;
use crate::special_texts::SpecialTexts;
use crate::turns::StructureCache;
use crate::visible_text::{excerpt, visible};
use crate::warning::DatasetWarning;
use crate::word_tokens::{Tokens, WordTokens};

const FILE: &str = "tokenizer.json";
/// Files that say which tokens end what a model writes.
const STOPPING: [&str; 2] = ["generation_config.json", "config.json"];
/// Bytes a tokenizer's file may have; those of the largest models have some ten millions.
const LIMIT: u64 = 100_000_000;

/// Says why a checkpoint's tokenizer and chat template cannot be used.
#[derive(Debug, Error)]
pub enum TokenizerFault {
    /// There is no `tokenizer.json`.
    #[error(
        "`{}` has no `tokenizer.json`{}",
        visible(&directory.display().to_string()),
        if *has_model {
            ", only `tokenizer.model`; make one with transformers: `AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)`"
        } else {
            "; copy the tokenizer's files from the base model"
        }
    )]
    Missing {
        /// The checkpoint's directory.
        directory: PathBuf,
        /// Whether there is a `tokenizer.model` to make it of.
        has_model: bool,
    },
    /// The file could not be read.
    #[error("failed to read `{}`: {source}", visible(&path.display().to_string()))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The file is no tokenizer.
    #[error("`{}`: {}", visible(&path.display().to_string()), excerpt(.message, 300))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the tokenizers library says.
        message: String,
    },
    /// There is no chat template.
    #[error(
        "`{}` has no chat template, so it may be a base model; train its instruct version, or copy a `chat_template.jinja` into it",
        visible(&directory.display().to_string())
    )]
    NoTemplate {
        /// The checkpoint's directory.
        directory: PathBuf,
    },
    /// A chat template or the file it is in is wrong.
    #[error("`{}`: {}", visible(&directory.display().to_string()), excerpt(&.source.to_string(), 600))]
    Template {
        /// The checkpoint's directory.
        directory: PathBuf,
        /// What is wrong.
        source: ChatTemplateError,
    },
    /// The tokenizer is another model's.
    #[error(
        "`{}` has ids up to {highest} without added tokens, but the model has only {vocab_size} tokens (`vocab_size` in config.json); take the tokenizer the model came with",
        visible(&path.display().to_string())
    )]
    Vocabulary {
        /// The tokenizer's file.
        path: PathBuf,
        /// The highest id of a token that was not added.
        highest: u32,
        /// How many the model has.
        vocab_size: u32,
    },
}

/// What a chat template is given beside the conversation.
#[derive(Clone, Debug, Default)]
pub struct TemplateOptions {
    /// The template's name; without one `tool_use` where there are tools and such a template, else
    /// the default one.
    pub name: Option<String>,
    /// Further variables, e.g. `enable_thinking`.
    pub variables: Map<String, Value>,
    /// What `strftime_now` takes for now; without it there is no such function, and Llama's
    /// templates write a date of their own.
    pub now: Option<LocalTime>,
}

/// A checkpoint's tokenizer and chat templates.
pub struct ModelTokenizer {
    tokenizer: Tokenizer,
    vocab_size: u32,
    special_tokens: SpecialTokens,
    special_texts: SpecialTexts,
    /// The tokens at which the model is said to stop.
    stops: BTreeSet<u32>,
    /// What the tokenizer itself puts before every text, if anything.
    beginning: Option<u32>,
    plain: ChatTemplate,
    /// The template for conversations with tools, where it is another.
    with_tools: Option<ChatTemplate>,
    template_file: &'static str,
    options: TemplateOptions,
    warnings: Vec<DatasetWarning>,
    structures: StructureCache,
    words: WordTokens,
}

impl ModelTokenizer {
    /// Opens `tokenizer.json` and the chat templates of a checkpoint whose embeddings have
    /// `vocab_size` rows.
    ///
    /// Errors if one is missing or malformed, or if the vocabulary without added tokens has more ids
    /// than the model; an added token beyond them is an error where an example has it.
    pub fn open(
        directory: &Path,
        vocab_size: u32,
        options: TemplateOptions,
    ) -> Result<Self, TokenizerFault> {
        let path = directory.join(FILE);
        let tokenizer = open_tokenizer(directory)?;
        let wrong = |source| match source {
            ChatTemplateError::None => TokenizerFault::NoTemplate {
                directory: directory.to_owned(),
            },
            source => TokenizerFault::Template {
                directory: directory.to_owned(),
                source,
            },
        };
        let templates = ChatTemplates::read(directory).map_err(wrong)?;
        let name = options.name.as_deref();
        let plain = templates.template(name, false).map_err(wrong)?;
        let with_tools = templates.template(name, true).map_err(wrong)?;
        let special_tokens = SpecialTokens::read(directory).map_err(wrong)?;
        let warnings = check_vocabulary(&tokenizer, &path, vocab_size)?;
        let encoded = tokenizer.encode("", true).ok();
        Ok(Self {
            stops: stops(directory),
            special_texts: SpecialTexts::new(&tokenizer, &special_tokens),
            beginning: encoded.and_then(|encoded| encoded.get_ids().first().copied()),
            with_tools: (with_tools.name() != plain.name()).then_some(with_tools),
            plain,
            template_file: template_file(directory),
            words: WordTokens::new(&tokenizer),
            tokenizer,
            vocab_size,
            special_tokens,
            options,
            warnings,
            structures: StructureCache::default(),
        })
    }

    /// Returns the tokenizer itself.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Returns the text of the `eos_token`, if the tokenizer names one.
    pub fn eos_token(&self) -> Option<&str> {
        self.special_tokens.get("eos_token")
    }

    /// Returns the template for a conversation with or without tools.
    pub fn template(&self, has_tools: bool) -> &ChatTemplate {
        let with_tools = self.with_tools.as_ref().filter(|_| has_tools);
        with_tools.unwrap_or(&self.plain)
    }

    /// Writes messages with the template up to where the assistant begins to speak, and makes tokens of
    /// that.
    pub fn prompt(
        &self,
        messages: &[Value],
        tools: Option<&[Value]>,
    ) -> Result<Vec<u32>, RenderError> {
        let chat = self.write(messages, tools, true)?;
        Ok(self.encode(chat.text())?.ids)
    }

    /// Tells whether the checkpoint's files, if they name any token, say that the model stops at this one.
    pub(crate) fn stops_at(&self, token: &str) -> bool {
        let eos = self.eos_token();
        let is_named = eos == Some(token) || eos.is_none() && self.stops.is_empty();
        let id = self.tokenizer.token_to_id(token);
        is_named || id.is_some_and(|id| self.stops.contains(&id))
    }

    /// Returns the file the templates are in.
    pub(crate) fn template_file(&self) -> &'static str {
        self.template_file
    }

    /// Returns what is odd about the files.
    pub(crate) fn warnings(&self) -> &[DatasetWarning] {
        &self.warnings
    }

    /// Returns the token the tokenizer itself begins texts with.
    pub(crate) fn beginning(&self) -> Option<u32> {
        self.beginning
    }

    pub(crate) fn special_texts(&self) -> &SpecialTexts {
        &self.special_texts
    }

    pub(crate) fn structures(&self) -> &StructureCache {
        &self.structures
    }

    /// Writes messages with the template.
    pub(crate) fn write(
        &self,
        messages: &[Value],
        tools: Option<&[Value]>,
        add_generation_prompt: bool,
    ) -> Result<RenderedChat, RenderError> {
        let chat = self.template(tools.is_some()).render(&ChatInput {
            messages,
            tools,
            add_generation_prompt,
            special_tokens: Some(&self.special_tokens),
            variables: Some(&self.options.variables),
            now: self.options.now,
            ..ChatInput::default()
        })?;
        Ok(chat)
    }

    /// Makes tokens of a text in which all special tokens are written, as `apply_chat_template` does.
    ///
    /// Errors if the model has no embedding for one of them.
    pub(crate) fn encode(&self, text: &str) -> Result<Tokens, RenderError> {
        let tokens = self
            .words
            .encode(&self.tokenizer, text)
            .map_err(|error| RenderError::Tokenizer(error.to_string()))?;
        let unknown = tokens.ids.iter().find(|&&id| id >= self.vocab_size);
        match unknown {
            None => Ok(tokens),
            Some(&id) => Err(RenderError::NoEmbedding {
                token: self.tokenizer.id_to_token(id).unwrap_or_default(),
                id,
                vocab_size: self.vocab_size,
            }),
        }
    }
}

impl std::fmt::Debug for ModelTokenizer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ModelTokenizer")
            .field("vocab_size", &self.vocab_size)
            .field("template", &self.plain)
            .finish_non_exhaustive()
    }
}

/// Reads `tokenizer.json` of a checkpoint.
pub(crate) fn open_tokenizer(directory: &Path) -> Result<Tokenizer, TokenizerFault> {
    let path = directory.join(FILE);
    if !path.exists() {
        return Err(TokenizerFault::Missing {
            directory: directory.to_owned(),
            has_model: directory.join("tokenizer.model").exists(),
        });
    }
    let mut tokenizer =
        Tokenizer::from_bytes(read(&path)?).map_err(|error| TokenizerFault::Malformed {
            path: path.clone(),
            message: error.to_string(),
        })?;
    // What a file says of cutting and filling up is not for training.
    tokenizer.with_padding(None);
    let cleared = tokenizer.with_truncation(None).map(|_| ());
    cleared.map_err(|error| TokenizerFault::Malformed {
        path: path.clone(),
        message: error.to_string(),
    })?;
    Ok(tokenizer)
}

fn read(path: &Path) -> Result<Vec<u8>, TokenizerFault> {
    let failed = |source| TokenizerFault::Read {
        path: path.to_owned(),
        source,
    };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(std::io::Error::other("not a file")));
    }
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > LIMIT {
        let message = format!("more than {LIMIT} bytes");
        return Err(failed(std::io::Error::other(message)));
    }
    Ok(bytes)
}

/// Reads `eos_token_id`, a number or a list of them; files that are missing or malformed say nothing.
pub(crate) fn stops(directory: &Path) -> BTreeSet<u32> {
    let files = STOPPING.iter().filter_map(|name| {
        let bytes = read(&directory.join(name)).ok()?;
        let fields: BTreeMap<String, Value> = serde_json::from_slice(&bytes).ok()?;
        fields.get("eos_token_id").cloned()
    });
    let ids = files.flat_map(|value| match value {
        Value::Array(ids) => ids,
        id => vec![id],
    });
    ids.filter_map(|id| u32::try_from(id.as_u64()?).ok())
        .collect()
}

/// Compares ids with the rows of the embeddings.
///
/// Added tokens without a row are common and harmless where nothing has them: Gemma 3's smallest
/// model has one for images.
fn check_vocabulary(
    tokenizer: &Tokenizer,
    path: &Path,
    vocab_size: u32,
) -> Result<Vec<DatasetWarning>, TokenizerFault> {
    let added = tokenizer.get_added_tokens_decoder();
    let base = tokenizer.get_vocab(false);
    let highest = base.values().filter(|id| !added.contains_key(id)).max();
    if let Some(&highest) = highest.filter(|&&highest| highest >= vocab_size) {
        return Err(TokenizerFault::Vocabulary {
            path: path.to_owned(),
            highest,
            vocab_size,
        });
    }
    let beyond = added.keys().filter(|&&id| id >= vocab_size);
    let count = beyond.clone().count();
    Ok(beyond
        .max()
        .map(|&tokenizer| DatasetWarning::TokensWithoutEmbedding {
            count,
            tokenizer,
            vocab_size,
        })
        .into_iter()
        .collect())
}

/// Returns the file that [`ChatTemplates::read`] takes templates from.
fn template_file(directory: &Path) -> &'static str {
    let files = ["chat_template.jinja", "additional_chat_templates"];
    let found = files.into_iter().find(|name| directory.join(name).exists());
    found.unwrap_or("tokenizer_config.json")
}
