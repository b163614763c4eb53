use serde::{Deserialize, Serialize};

use crate::{Artefact, Digest, Sampling, Verdict};

/// A directory with a model that is to be used, and all that is known of it: `package.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Package {
    /// Version of this format.
    pub format: u32,
    /// The project's name.
    pub project: String,
    /// The model's name in the project.
    pub name: String,
    /// The model it was compared with.
    pub baseline: String,
    /// The run that its verdict is from.
    pub run: String,
    /// That verdict.
    pub verdict: Verdict,
    /// Whether people confirm it whom nobody had met; `None` where it was no loop's candidate.
    pub confirmed: Option<bool>,
    /// Another run of people nobody had met that does not confirm it, whatever this one says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refuted_by: Option<String>,
    /// Whether somebody wanted it although the verdict does not say so.
    pub forced: bool,
    /// The GGUF file that was evaluated, relative to the directory.
    pub gguf: String,
    /// Digest of that file.
    pub digest: Digest,
    /// Tokens of context that it was evaluated with; `None`: what the model was trained with.
    pub context: Option<u32>,
    /// How it drew tokens.
    pub sampling: Sampling,
    /// What it was told before a conversation.
    pub system_prompt: Option<String>,
    /// The adapter, where it has one.
    pub adapter: Option<PackagedAdapter>,
    /// A directory with a whole checkpoint, relative to the package's, where there is one.
    pub checkpoint: Option<String>,
    /// All files but `package.json`, by path.
    pub files: Vec<Artefact>,
}

impl Package {
    /// Version of the format that this describes.
    pub const FORMAT: u32 = 1;
}

/// An adapter in a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackagedAdapter {
    /// Its directory, relative to the package's.
    pub directory: String,
    /// Its base: the way there from the package's directory, or as the configuration wrote it where it
    /// was not there any more.
    pub base: String,
    /// Its rank.
    pub rank: u32,
}
