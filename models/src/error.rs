use std::path::PathBuf;

use thiserror::Error;

use crate::gguf::{GgufError, WriteError};
use crate::hyper_parameters::FieldError;
use crate::metadata::ModelCardError;

/// Says what is wrong with a model's files, or why they could not be merged.
#[derive(Debug, Error)]
pub enum ModelError {
    /// A file could not be read or written.
    #[error("failed to {action} `{path}`: {source}")]
    InputOutput {
        /// What was tried, e.g. `read`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file is not the JSON expected.
    #[error("`{path}`: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What and where.
        source: serde_json::Error,
    },
    /// A description is larger than any real one, in bytes.
    #[error("`{path}` has {length} bytes, more than the {limit} such a file may have")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        length: u64,
        /// The most allowed.
        limit: u64,
    },
    /// A safetensors file's header is wrong.
    #[error("`{path}`, byte {offset}: {problem}")]
    Header {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        problem: HeaderProblem,
    },
    /// One tensor of a safetensors file is wrong.
    #[error("`{path}`, tensor `{tensor}` at byte {offset}: {problem}")]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Where it says its values begin.
        offset: u64,
        /// What is wrong.
        problem: TensorProblem,
    },
    /// The list of shards is wrong.
    #[error("`{path}`: {problem}")]
    Index {
        /// The index.
        path: PathBuf,
        /// What is wrong.
        problem: IndexProblem,
    },
    /// The directory is no checkpoint that can be read.
    #[error("`{path}`: {problem}")]
    Checkpoint {
        /// The directory or a file in it.
        path: PathBuf,
        /// What is wrong.
        problem: CheckpointProblem,
    },
    /// The directory is no adapter that can be merged.
    #[error("`{path}`: {problem}")]
    Adapter {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: AdapterProblem,
    },
    /// Adapter and base do not fit, or their numbers do not.
    #[error("tensor `{tensor}`: {problem}")]
    Merge {
        /// The tensor, as the base calls it, else as the adapter does.
        tensor: String,
        /// What is wrong.
        problem: MergeProblem,
    },
    /// A chat template cannot be read or rendered.
    #[error(transparent)]
    ChatTemplate(#[from] crate::chat_template::ChatTemplateError),
    /// A tensor cannot be converted.
    #[error("tensor `{tensor}`: {problem}")]
    Convert {
        /// The tensor, as the checkpoint calls it, or as GGUF does.
        tensor: String,
        /// What is wrong.
        problem: crate::convert::ConvertProblem,
    },
    /// The adapter cannot be written as a file of its own.
    #[error(transparent)]
    Lora(#[from] crate::convert::LoraProblem),
    /// The weights cannot be quantised.
    #[error(transparent)]
    Quantize(#[from] crate::quantize::QuantizeError),
    /// Nothing can be written there.
    #[error("`{path}` {problem}")]
    Output {
        /// The directory.
        path: PathBuf,
        /// Why not.
        problem: OutputProblem,
    },
    /// A field of a description is wrong.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A model card cannot be read.
    #[error(transparent)]
    ModelCard(#[from] ModelCardError),
    /// A GGUF file is wrong.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A GGUF file could not be written.
    #[error(transparent)]
    GgufWrite(#[from] WriteError),
    /// The tokenizer cannot be written into a model file.
    #[error(transparent)]
    Tokenizer(#[from] crate::tokenizer::TokenizerError),
    /// The caller stopped it; nothing was left behind.
    #[error("interrupted")]
    Interrupted,
}

/// What can be wrong with a safetensors header.
#[derive(Debug, Error)]
pub enum HeaderProblem {
    /// Fewer than the eight bytes of the header's length.
    #[error("the file has {length} bytes; a header needs 8")]
    Missing {
        /// Bytes of the file.
        length: u64,
    },
    /// Longer than the file or than any real one.
    #[error("the header is said to have {said} bytes; at most {most} are possible")]
    Length {
        /// What the file says.
        said: u64,
        /// What is possible.
        most: u64,
    },
    /// Not UTF-8.
    #[error("the header is not UTF-8")]
    NotUtf8,
    /// Not the JSON expected.
    #[error("the header is not valid: {0}")]
    Json(serde_json::Error),
    /// The file goes on after, or ends before, its last tensor.
    #[error("the tensors end at byte {said}, the file at byte {found}")]
    Extent {
        /// Where the last tensor ends.
        said: u64,
        /// Where the file ends.
        found: u64,
    },
    /// Whatever else the format forbids.
    #[error("{0}")]
    Format(safetensors::SafeTensorError),
}

/// What can be wrong with one tensor of a safetensors file.
#[derive(Debug, Error)]
pub enum TensorProblem {
    /// It does not begin where the one before it ends.
    #[error("expected its values at byte {expected}: tensors overlap, or leave a gap")]
    Offset {
        /// Where the one before it ends.
        expected: u64,
    },
    /// It ends before it begins, or after the file.
    #[error("its values end at byte {end}, the file at byte {file}")]
    OutOfRange {
        /// Where it says it ends.
        end: u64,
        /// Where the file ends.
        file: u64,
    },
    /// Its bytes are not what its shape needs.
    #[error("{dtype} of shape {shape:?} needs {} bytes, it has {found}", expected.map_or("more than 2^64".to_owned(), |n| n.to_string()))]
    Size {
        /// Its number format.
        dtype: safetensors::Dtype,
        /// Its shape.
        shape: Vec<usize>,
        /// Bytes it needs, if they can be counted.
        expected: Option<u64>,
        /// Bytes it has.
        found: u64,
    },
    /// Its values cannot be computed with.
    #[error("values are {dtype}; F32, BF16 and F16 can be computed with")]
    Format {
        /// Their format.
        dtype: safetensors::Dtype,
    },
    /// Its shape does not follow from `config.json`.
    #[error(
        "shape {found:?}, but `config.json` gives {expected:?}; weights and configuration are of different models"
    )]
    Shape {
        /// Its shape.
        found: Vec<usize>,
        /// The shape that follows.
        expected: Vec<usize>,
    },
    /// A value is infinite or NaN.
    #[error("a value is infinite or NaN; training went wrong, or the file is damaged")]
    NotFinite,
}

/// What can be wrong with `model.safetensors.index.json`.
#[derive(Debug, Error)]
pub enum IndexProblem {
    /// A shard lies elsewhere.
    #[error("tensor `{tensor}`: shard `{shard}` is not the name of a file beside the index")]
    Traversal {
        /// The tensor.
        tensor: String,
        /// The name given.
        shard: String,
    },
    /// No tensor at all.
    #[error("no tensor is listed")]
    Empty,
    /// The shard does not have it.
    #[error("tensor `{tensor}` is not in shard `{shard}`")]
    Absent {
        /// The tensor.
        tensor: String,
        /// The shard it should be in.
        shard: String,
    },
    /// A shard has a tensor that the index does not know there.
    #[error("shard `{shard}` has tensor `{tensor}`, which is not listed there")]
    Unlisted {
        /// The tensor.
        tensor: String,
        /// The shard.
        shard: String,
    },
}

/// What can be wrong with a checkpoint directory.
#[derive(Debug, Error)]
pub enum CheckpointProblem {
    /// Another architecture.
    #[error("architecture {found} is not supported; supported are {supported}")]
    Architecture {
        /// What `config.json` says.
        found: String,
        /// What it may say.
        supported: String,
    },
    /// Stored in fewer bits.
    #[error("the weights are quantised ({method}); merging into them would round the tuning away")]
    Quantised {
        /// By what.
        method: String,
    },
    /// A tensor is nowhere.
    #[error(
        "there is no tensor `{tensor}`; a shard is missing, or `config.json` is of another model"
    )]
    Absent {
        /// Its name.
        tensor: String,
    },
    /// No `model.safetensors` and no index.
    #[error("there is no `model.safetensors` and no `model.safetensors.index.json`")]
    NoWeights,
}

/// What can be wrong with an adapter directory.
#[derive(Debug, Error)]
pub enum AdapterProblem {
    /// Not LoRA.
    #[error("PEFT type `{found}` is not supported; supported is `LORA`")]
    PeftType {
        /// What `adapter_config.json` says.
        found: String,
    },
    /// An option that changes the arithmetic.
    #[error("`{field}`: {value} is not supported")]
    Option {
        /// The field.
        field: &'static str,
        /// Its value.
        value: serde_json::Value,
    },
    /// A rank of 0 or a scale that is no number.
    #[error("module `{module}`: rank {rank} and alpha {alpha} give no scale")]
    Scale {
        /// The module.
        module: String,
        /// Its rank.
        rank: usize,
        /// Its alpha.
        alpha: f64,
    },
    /// A pattern of `rank_pattern` or `alpha_pattern` cannot be read.
    #[error("pattern `{pattern}`: {source}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why.
        source: Box<regex::Error>,
    },
    /// More expressions than any real adapter has, each of which takes memory.
    #[error("`{field}` has more than {limit} expressions; write the modules' names")]
    Expressions {
        /// `rank_pattern` or `alpha_pattern`.
        field: &'static str,
        /// The most allowed.
        limit: usize,
    },
    /// No LoRA weights and no replaced modules.
    #[error("there is no tensor to merge")]
    Empty,
    /// A tensor that is no part of LoRA.
    #[error("tensor `{tensor}` is of no known kind")]
    Unknown {
        /// The tensor.
        tensor: String,
    },
    /// Two tensors that mean the same one.
    #[error("tensor `{tensor}` is there twice, under two names")]
    Twice {
        /// The tensor.
        tensor: String,
    },
    /// One of A and B.
    #[error("module `{module}` has no `{missing}`")]
    Half {
        /// The module.
        module: String,
        /// What it lacks.
        missing: &'static str,
    },
    /// DoRA said in one file and not in the other.
    #[error(
        "module `{module}`: `use_dora` is {use_dora}, and `lora_magnitude_vector` says otherwise"
    )]
    Dora {
        /// The module.
        module: String,
        /// What the configuration says.
        use_dora: bool,
    },
    /// A shape other than rank, inputs and outputs say.
    #[error("tensor `{tensor}` has shape {found:?}, expected {expected}")]
    Shape {
        /// The tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// What it should be.
        expected: String,
    },
    /// A number format without floating-point values.
    #[error("tensor `{tensor}` is {dtype}; F32, BF16 and F16 can be merged")]
    Format {
        /// The tensor.
        tensor: String,
        /// Its number format.
        dtype: safetensors::Dtype,
    },
}

/// Why a tensor cannot be merged.
#[derive(Debug, Error)]
pub enum MergeProblem {
    /// The base does not have it.
    #[error("the adapter changes it, the base does not have it")]
    NotInBase,
    /// LoRA on a head that is the embedding.
    #[error("the base ties it to the embedding, so the adapter's change would reach both")]
    TiedHead,
    /// A shape other than the adapter's.
    #[error("its shape is {base:?} in the base and {adapter:?} in the adapter")]
    Shape {
        /// In the base.
        base: Vec<usize>,
        /// In the adapter.
        adapter: Vec<usize>,
    },
    /// A number format without floating-point values.
    #[error("it is {dtype}; F32, BF16 and F16 can be merged or converted")]
    Format {
        /// Its number format.
        dtype: safetensors::Dtype,
    },
    /// The result is no number, or too large for the format.
    #[error("row {row} becomes infinite or NaN")]
    NotFinite {
        /// The first such row of those looked at.
        row: usize,
    },
}

/// Why nothing can be written to a directory.
#[derive(Debug, Error)]
pub enum OutputProblem {
    /// Something is there.
    #[error("is there already and is not an empty directory")]
    NotEmpty,
    /// It is the base, the adapter, or inside of one.
    #[error("is, or lies in, `{input}`, which is read")]
    Input {
        /// The directory read.
        input: PathBuf,
    },
    /// Not enough space, in bytes.
    #[error("needs {needed} bytes, {available} are free")]
    Space {
        /// Bytes to be written.
        needed: u64,
        /// Bytes free.
        available: u64,
    },
}

impl ModelError {
    pub(crate) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::InputOutput {
            action,
            path,
            source,
        }
    }
}
