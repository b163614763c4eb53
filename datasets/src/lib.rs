//! Training data: from files of conversations to token ids and what of them a model learns.
//!
//! Read the modules in this order: a file of conversations ([`Conversation`], [`read_messages`]), the
//! model's tokenizer and chat template ([`ModelTokenizer`]), the two together ([`TokenisedDataset`]),
//! what is told of them before training ([`DatasetReport`], [`MaskPreview`]), and how examples share
//! a row ([`pack`]). Text of a data set is hostile: what is meant for a terminal is made harmless first.

mod example;

mod bounded_lines;
mod conversation;
mod fault;
mod message_check;
mod messages_file;
mod other_format;

mod mask;
mod model_tokenizer;
mod render_error;
mod rendering;
mod special_texts;
mod turns;

mod dataset;
mod error;
mod excess_length;
mod packing;
mod preview;
mod report;
mod visible_text;
mod warning;

pub use conversation::Conversation;
pub use dataset::{DatasetOptions, TokenisedDataset};
pub use error::DatasetError;
pub use example::TokenisedExample;
pub use excess_length::ExcessLength;
pub use fault::{Fault, Faults, Problem};
pub use messages_file::read_messages;
pub use model_tokenizer::{ModelTokenizer, TemplateOptions, TokenizerFault};
pub use packing::pack;
pub use preview::{MaskPreview, MaskedText};
pub use render_error::RenderError;
pub use rendering::Rendering;
pub use report::{DatasetReport, Loss, TemplateSource, TokenCounts};
pub use warning::{DatasetWarning, RenderNote};
