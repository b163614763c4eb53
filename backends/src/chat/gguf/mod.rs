//! GGUF files run in this process by llama.cpp.
//!
//! One worker thread per open model owns its context and decodes all conversations in one batch;
//! prompts are rendered and tokenised where they are asked for. What makes a reply depend on its
//! conversation alone is said in `settings`.

mod cores;
mod header;
pub(crate) mod likelihood;
mod prompt;
mod sampler;
mod scheduler;
mod settings;
mod slot;
mod template;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use shipworthy_schema::{ChatReply, ChatRequest, ModelSource, Usage};
use tokio::sync::oneshot;

use self::prompt::PromptWriter;
use self::scheduler::{Failure, Generated, Job, Order};
use self::worker::Setup;
use super::{ChatModel, reasoning};
use crate::{ChatError, OpenError, OpenedModel};

/// Opens the GGUF file at `path`, which messages call `shown`.
///
/// `context`: tokens of one conversation; what the model was trained with, at most 8,192, where it is
/// `None`. `threads`: one per core, or fewer for a small model, where it is `None`. `parallel`:
/// conversations decoded together, 1 to 256.
pub(crate) async fn open(
    path: &Path,
    shown: &str,
    context: Option<u32>,
    threads: Option<u32>,
    parallel: u32,
) -> Result<OpenedModel, OpenError> {
    let setup = Setup {
        path: path.to_owned(),
        context,
        threads,
        parallel,
    };
    let (orders, inbox) = mpsc::channel();
    let (ready, loaded) = oneshot::channel();
    let worker = thread::Builder::new()
        .name("gguf".to_owned())
        .spawn(move || worker::work(&setup, ready, &inbox))
        .map_err(|source| OpenError::File {
            path: path.to_owned(),
            source,
        })?;
    let loaded = loaded.await.map_err(|_| OpenError::Format {
        path: path.to_owned(),
        detail: "its worker thread died".to_owned(),
    })??;
    let source = ModelSource::Gguf {
        path: shown.to_owned(),
        digest: loaded.digest,
        context: Some(loaded.settings.context),
    };
    let model = GgufModel {
        path: path.to_owned(),
        shown: shown.to_owned(),
        context: loaded.settings.context,
        parallel: loaded.settings.parallel as usize,
        prompts: loaded.prompts,
        orders: Some(orders),
        worker: Some(worker),
    };
    Ok(OpenedModel {
        model: Arc::new(model),
        source,
    })
}

struct GgufModel {
    path: PathBuf,
    shown: String,
    context: u32,
    parallel: usize,
    prompts: PromptWriter,
    /// `None` only while the model is being dropped.
    orders: Option<mpsc::Sender<Order>>,
    worker: Option<JoinHandle<()>>,
}

impl GgufModel {
    fn send(&self, order: Order) -> Result<(), ChatError> {
        self.orders
            .as_ref()
            .and_then(|orders| orders.send(order).ok())
            .ok_or_else(|| self.unavailable("its worker thread has ended"))
    }

    fn unavailable(&self, detail: impl Into<String>) -> ChatError {
        ChatError::Unavailable {
            model: self.shown.clone(),
            detail: detail.into(),
        }
    }

    fn refused(&self, detail: impl Into<String>) -> ChatError {
        ChatError::Refused {
            model: self.shown.clone(),
            detail: detail.into(),
        }
    }
}

#[async_trait]
impl ChatModel for GgufModel {
    async fn chat(&self, request: &ChatRequest) -> Result<ChatReply, ChatError> {
        let prompt = self
            .prompts
            .write(&request.messages)
            .map_err(|detail| self.refused(detail))?;
        let n_prompt = prompt.tokens.len();
        if n_prompt == 0 {
            return Err(self.refused("the chat template renders an empty prompt"));
        }
        if n_prompt >= self.context as usize {
            return Err(ChatError::ContextOverflow {
                model: self.shown.clone(),
                is_shared: false,
                detail: format!(
                    "the prompt has {n_prompt} tokens, and one of the context's {} must be left \
                     for the reply",
                    self.context
                ),
            });
        }
        let grammar = match &request.response_schema {
            None => None,
            Some(wanted) => Some(
                llama_cpp_2::json_schema_to_grammar(&wanted.schema.to_string()).map_err(
                    |error| {
                        self.refused(format!(
                            "the response schema `{}` is not supported: {error}",
                            wanted.name
                        ))
                    },
                )?,
            ),
        };
        let (answer, generated) = oneshot::channel();
        self.send(Order::Generate(Job {
            thread: request.thread.clone(),
            prompt: prompt.tokens,
            sampling: request.sampling.clone(),
            grammar,
            answer,
        }))?;
        let generated = generated
            .await
            .map_err(|_| self.unavailable("its worker thread has ended"))?
            .map_err(|failure| match failure {
                Failure::Refused(detail) => self.refused(detail),
                Failure::Decode(detail) => {
                    self.unavailable(format!("llama.cpp failed to decode: {detail}"))
                }
            })?;
        Ok(reply(generated, n_prompt, prompt.opens_reasoning))
    }

    async fn identify(&self) -> Result<ModelSource, ChatError> {
        let path = self.path.clone();
        let digest = tokio::task::spawn_blocking(move || worker::digest(&path))
            .await
            .map_err(|error| self.unavailable(error.to_string()))?
            .map_err(|error| self.unavailable(error.to_string()))?;
        Ok(ModelSource::Gguf {
            path: self.shown.clone(),
            digest,
            context: Some(self.context),
        })
    }

    fn concurrency(&self) -> usize {
        self.parallel
    }

    fn keeps_threads(&self) -> bool {
        true
    }

    fn end_thread(&self, thread: &str) {
        // A worker that has ended keeps nothing.
        let _ = self.send(Order::EndThread(thread.to_owned()));
    }
}

impl Drop for GgufModel {
    /// Waits for the worker, at most for the batch in hand: llama.cpp must not be computing when the
    /// process tears its statics down.
    fn drop(&mut self) {
        self.orders = None;
        if let Some(worker) = self.worker.take() {
            // A worker that panicked has told its callers already.
            let _ = worker.join();
        }
    }
}

fn reply(generated: Generated, n_prompt: usize, opens_reasoning: bool) -> ChatReply {
    let split = reasoning::split(&generated.text, opens_reasoning);
    ChatReply {
        content: split.content,
        reasoning: split.reasoning,
        finish_reason: generated.finish_reason,
        usage: Usage {
            prompt_tokens: Some(n_prompt as u64),
            cached_tokens: Some(generated.n_cached as u64),
            completion_tokens: Some(generated.n_drawn as u64),
            reasoning_tokens: None,
        },
    }
}
