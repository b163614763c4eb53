use serde::{Deserialize, Serialize};

use crate::{Digest, ModelName};

/// What a model is, where it is and how to open it: tuning ends with one, evaluation begins with
/// one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRef {
    /// Its name in the project.
    pub name: ModelName,
    /// Where it is.
    pub source: ModelSource,
}

/// Where a model is, with what proves that it is still the same one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum ModelSource {
    /// A GGUF file run in this process.
    Gguf {
        /// Path as the configuration wrote it.
        path: String,
        /// Digest of the file.
        digest: Digest,
        /// Tokens of context for one conversation; `None`: what the model was trained with.
        context: Option<u32>,
    },
    /// An OpenAI-compatible server.
    Http {
        /// Base URL, up to and including `/v1`.
        url: String,
        /// The model's id as the server lists it.
        model: String,
        /// What the server said of itself when the plan was made.
        served: ServedIdentity,
    },
    /// Replies read from a file.
    Scripted {
        /// Path as the configuration wrote it.
        path: String,
        /// Digest of the file.
        digest: Digest,
    },
}

impl ModelSource {
    /// Returns the digest of what the model is: of its file, or of where it is served and what the
    /// server says of it.
    pub fn identity(&self) -> Digest {
        match self {
            Self::Gguf { digest, .. } | Self::Scripted { digest, .. } => digest.clone(),
            Self::Http { .. } => {
                Digest::of(&serde_json::to_vec(self).expect("a source is plain data"))
            }
        }
    }
}

/// What a server says of the model it serves; a field is `None` where the server does not tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServedIdentity {
    /// What the server loaded: a file (`model_path` in `/props`, llama-server), or a directory or
    /// repository (`root` in `/v1/models`, vLLM).
    pub model_path: Option<String>,
    /// Number of parameters (`meta.n_params`, llama-server).
    pub n_params: Option<u64>,
    /// Digest of the chat template (`/props`, llama-server).
    pub chat_template: Option<Digest>,
    /// The base that an adapter served under a name of its own belongs to (`parent`, vLLM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The adapters that the server has loaded, each with the scale that every request asks for
    /// (llama-server).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lora: Vec<ServedAdapter>,
}

/// An adapter beside a served model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServedAdapter {
    /// Its file, as the server lists it.
    pub path: String,
    /// Its scale; 0 is off.
    pub scale: f64,
}
