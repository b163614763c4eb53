//! A model on disk: reading checkpoints, adapters and GGUF files, merging, converting, quantising.
//!
//! Files are memory-mapped and streamed tensor by tensor, so that memory does not grow with the
//! model; no GPU and no tensor framework is needed. Every file is treated as hostile: what is wrong
//! with it is an error that names the file and the offset or tensor.
//!
//! Read the modules in this order: what is read from disk ([`Checkpoint`], [`Adapter`]), then what
//! is done with it ([`merge`]), then the format it leaves in ([`gguf`]) and what a file of that format
//! says of a model ([`model_metadata`]), or is found to say ([`GgufDescription`]);
//! last, what anybody's files are ([`inspect()`]).

mod error;
mod progress;

mod bounded_file;
mod described;
mod disk_space;
mod json_file;
mod mapped_file;
mod number_format;
mod tensor_file;
mod tensor_view;

mod adapter;
mod checkpoint;
mod companions;
mod hyper_parameters;
mod model_config;
mod shapes;
mod shard_index;

mod tokenizer;

mod weights;

pub mod value_counts;

mod merge;

mod chat_template;

pub mod gguf;

mod metadata;
mod quantize;

mod convert;
mod inspect;

pub use adapter::{Adapter, AdapterConfig};
pub use chat_template::{
    ChatInput, ChatTemplate, ChatTemplateError, ChatTemplates, LocalTime, RenderedChat,
    SpecialTokens, TemplateFault, on_large_stack,
};
pub use checkpoint::Checkpoint;
pub use companions::{copy_companions, copy_tokenizer};
pub use convert::{
    ConvertAdapterOptions, ConvertOptions, ConvertProblem, Converted, ConvertedAdapter,
    LoraProblem, convert, convert_adapter,
};
pub use error::{
    AdapterProblem, CheckpointProblem, HeaderProblem, IndexProblem, MergeProblem, ModelError,
    OutputProblem, TensorProblem,
};
pub use hyper_parameters::{
    Activation, FieldError, FieldProblem, HyperParameters, LayerType, Llama3Scaling, Rope,
    RopeScaling, YarnScaling,
};
pub use inspect::{
    AdapterDescription, BaseDescription, ChatDescription, ChatFeatures, CheckpointDescription,
    DtypeCount, Finding, GgufAdapterDescription, GgufDescription, InspectError, InspectOptions,
    Inspection, Level, QuantisationDescription, RopeScalingDescription, ScaleCount,
    SizesDescription, SpecialTokenDescription, SplitDescription, Subject, SystemRole,
    TensorTypeCount, TokenizerDescription, Training, ValuePlace, WeightsDescription, inspect,
};
pub use merge::{MergeOptions, Merged, merge};
pub use metadata::{
    FileType, Lineage, ModelCard, ModelCardError, ModelCardProblem, Sampling, Source,
    adapter_metadata, architecture, model_metadata,
};
pub use model_config::{Family, ModelConfig};
pub use number_format::NumberFormat;
pub use progress::Progress;
pub use quantize::QuantizeError;
pub use tensor_view::TensorView;
pub use tokenizer::{
    SpecialToken, Token, TokenKind, TokenizerError, TokenizerProblem, Vocabulary, VocabularyModel,
    VocabularyValue,
};
pub use weights::OutputFormat;
