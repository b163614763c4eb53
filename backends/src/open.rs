use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use shipworthy_schema::ModelSource;

use crate::{ChatModel, Connections, Neighbours, OpenError, Secret, chat};

/// Where a model is to be found, as the configuration says it.
#[derive(Clone, Debug)]
pub enum ModelLocation {
    /// A GGUF file, run in this process.
    Gguf {
        /// The file.
        path: PathBuf,
        /// The path as the configuration wrote it.
        shown: String,
        /// Tokens of context for one conversation; `None`: what the model was trained with, at most
        /// 8,192.
        context: Option<u32>,
        /// Threads; `None`: one for each processor core, fewer for a small model.
        threads: Option<u32>,
        /// Conversations decoded together at most.
        parallel: u32,
    },
    /// An OpenAI-compatible server.
    Http {
        /// Base URL, up to and including `/v1`.
        url: String,
        /// The model's id; `None`: the only one the server lists.
        model: Option<String>,
        /// Bearer token.
        api_key: Option<Secret>,
        /// Those that it shares with other models at the same server.
        connections: Connections,
        /// The scale of each adapter that a llama-server has loaded, by its file, file name or
        /// number; one that is not named gets 0. `None`: the scales it was started with.
        lora: Option<BTreeMap<String, f64>>,
        /// Who else is served there.
        neighbours: Neighbours,
        /// What the plan calls the server, where its address differs from run to run.
        shown: Option<String>,
        /// Calls under way at once at most.
        parallel: u32,
    },
    /// Replies read from a JSONL file.
    Scripted {
        /// The file.
        path: PathBuf,
        /// The path as the configuration wrote it.
        shown: String,
    },
}

/// A model ready to answer, and what was found where it is.
pub struct OpenedModel {
    /// The model.
    pub model: Arc<dyn ChatModel>,
    /// What it is, with what proves that it is still the same one.
    pub source: ModelSource,
}

/// Opens the model at `location`.
///
/// A server that refuses connections is asked for 3 s, one that says it is loading for 5 minutes. The
/// error says what is wrong with the file, the URL or the server, or which model is served instead.
pub async fn open(location: &ModelLocation) -> Result<OpenedModel, OpenError> {
    match location {
        ModelLocation::Gguf {
            path,
            shown,
            context,
            threads,
            parallel,
        } => chat::gguf::open(path, shown, *context, *threads, *parallel).await,
        ModelLocation::Http {
            url,
            model,
            api_key,
            connections,
            lora,
            neighbours,
            shown,
            parallel,
        } => {
            let address = chat::http::Address {
                url,
                api_key: api_key.as_ref(),
                connections,
                shown: shown.as_deref(),
            };
            let wanted = chat::http::Wanted {
                model: model.as_deref(),
                lora: lora.as_ref(),
                neighbours: *neighbours,
                parallel: *parallel,
            };
            chat::http::open(&address, &wanted).await
        }
        ModelLocation::Scripted { path, shown } => chat::scripted::open(path, shown),
    }
}
