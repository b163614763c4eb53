//! The thread that owns a model's context.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, LazyLock};

use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::{LlamaCppError, LogOptions, send_logs_to_tracing};
use shipworthy_schema::Digest;
use tokio::sync::oneshot;

use super::header;
use super::prompt::PromptWriter;
use super::scheduler::{Order, Scheduler};
use super::settings::Settings;
use super::template::ChatTemplate;
use crate::OpenError;

/// llama.cpp's state for the whole process.
static BACKEND: LazyLock<Result<LlamaBackend, LlamaCppError>> = LazyLock::new(|| {
    // llama.cpp writes to stderr by default; what matters of it comes back as errors.
    send_logs_to_tracing(LogOptions::default().with_logs_enabled(false));
    LlamaBackend::init()
});

/// What to open, as the configuration says it.
pub(super) struct Setup {
    pub(super) path: PathBuf,
    pub(super) context: Option<u32>,
    pub(super) threads: Option<u32>,
    pub(super) parallel: u32,
}

/// A model that the worker has loaded.
pub(super) struct Loaded {
    pub(super) digest: Digest,
    pub(super) settings: Settings,
    pub(super) prompts: PromptWriter,
}

/// Loads the model, tells `ready` about it, and makes replies until `orders` ends.
pub(super) fn work(
    setup: &Setup,
    ready: oneshot::Sender<Result<Loaded, OpenError>>,
    orders: &Receiver<Order>,
) {
    match load(setup) {
        Err(error) => {
            // Whoever opened the model may have gone.
            let _ = ready.send(Err(error));
        }
        Ok((model, backend, loaded)) => {
            let settings = loaded.settings;
            match model.new_context(backend, settings.to_params()) {
                Err(_) => {
                    let _ = ready.send(Err(OpenError::Format {
                        path: setup.path.clone(),
                        detail: format!(
                            "llama.cpp cannot set up {} conversations of {} tokens each; lower \
                             `context` or `parallel`",
                            settings.parallel, settings.context
                        ),
                    }));
                }
                Ok(context) => {
                    if ready.send(Ok(loaded)).is_ok() {
                        Scheduler::new(&model, context, settings).run(orders);
                    }
                }
            }
        }
    }
}

type Parts = (Arc<LlamaModel>, &'static LlamaBackend, Loaded);

fn load(setup: &Setup) -> Result<Parts, OpenError> {
    let path = &setup.path;
    let malformed = |detail: String| OpenError::Format {
        path: path.clone(),
        detail,
    };
    let header = header::read(path)?;
    let digest = digest(path)?;
    let (model, backend) = load_weights(path)?;
    let model = Arc::new(model);
    let template = chat_template(&model).map_err(malformed)?;
    let settings = Settings::new(
        &model,
        &header,
        setup.context,
        setup.threads,
        setup.parallel,
    );
    let loaded = Loaded {
        digest,
        settings,
        prompts: PromptWriter::new(Arc::clone(&model), template),
    };
    Ok((model, backend, loaded))
}

/// Loads the weights of the file at `path`, whose header must have been read.
pub(super) fn load_weights(path: &Path) -> Result<(LlamaModel, &'static LlamaBackend), OpenError> {
    let malformed = |detail: String| OpenError::Format {
        path: path.to_owned(),
        detail,
    };
    let backend = BACKEND
        .as_ref()
        .map_err(|error| malformed(format!("llama.cpp does not start: {error}")))?;
    let params = LlamaModelParams::default().with_n_gpu_layers(0);
    let model = LlamaModel::load_from_file(backend, path, &params).map_err(|_| {
        malformed(
            "llama.cpp does not take it: it is damaged or cut off, or of an architecture that \
             this build does not know"
                .to_owned(),
        )
    })?;
    Ok((model, backend))
}

/// Returns the digest of the file at `path`.
pub(super) fn digest(path: &Path) -> Result<Digest, OpenError> {
    File::open(path)
        .and_then(Digest::of_reader)
        .map_err(|source| OpenError::File {
            path: path.to_owned(),
            source,
        })
}

fn chat_template(model: &LlamaModel) -> Result<ChatTemplate, String> {
    let source = model.meta_val_str("tokenizer.chat_template").map_err(|_| {
        "it has no chat template (`tokenizer.chat_template`), so it cannot be talked with; convert \
         it again from a checkpoint whose tokenizer_config.json or chat_template.jinja holds one"
            .to_owned()
    })?;
    let vocab = model.vocab();
    let text = |token| {
        vocab
            .text(token)
            .map(|text| text.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    // A token that the vocabulary lacks is -1, which llama.cpp may not be asked about.
    let bos = if vocab.bos().0 < 0 {
        String::new()
    } else {
        text(vocab.bos())
    };
    let eos = if vocab.eos().0 < 0 {
        String::new()
    } else {
        text(vocab.eos())
    };
    ChatTemplate::new(&source, &bos, &eos)
}
