//! Training data: from files of conversations to token ids and what of them a model learns.
//!
//! Read the modules in this order: a file of conversations ([`Conversation`], [`read_messages`]), the
//! model's tokenizer and chat template ([`ModelTokenizer`]), the two together ([`TokenisedDataset`]),
//! what is told of them before training ([`DatasetReport`], [`MaskPreview`]), and how examples share
//! a row ([`pack`]). Text of a data set is hostile: what is meant for a terminal is made harmless first.

mod example;

mod bounded_lines;
mod fault;
mod json_value;
mod place;
mod rows;

mod conversation;
mod message_check;
mod messages_file;
mod other_format;
mod role;
mod turn_order;

mod conversion;
mod formats;

mod chapters;
mod clusters;
mod deduplication;
mod examination;
mod fingerprint;
mod min_hash;
mod personal_data;
mod row_index;
mod row_walk;
mod size_guidance;
mod split;
mod word_tokens;
mod words;

mod mask;
mod model_tokenizer;
mod render_error;
mod rendering;
mod rendering_notes;
mod special_texts;
mod text_tokenizer;
mod turns;

mod dataset;
mod error;
mod excess_length;
mod packing;
mod preview;
mod report;
mod visible_text;
mod warning;

pub use chapters::{Chunk, ChunkOptions, Style, StylePrompts, chunk_row, chunks, read_chapter};
pub use clusters::{DuplicateOf, Duplicates};
pub use conversation::Conversation;
pub use conversion::{ConversionOptions, ConversionReport, Counted, convert};
pub use dataset::{DatasetOptions, TokenisedDataset};
pub use deduplication::{Deduplication, deduplicate, distinct};
pub use error::DatasetError;
pub use examination::{
    Cut, Examination, ExaminationOptions, FieldBalance, PersonalDataCount, Share, TokenReport,
    examine,
};
pub use example::TokenisedExample;
pub use excess_length::ExcessLength;
pub use fault::{Fault, Faults, Problem};
pub use formats::{Format, Note, Row, Unexpressed};
pub use messages_file::read_messages;
pub use model_tokenizer::{ModelTokenizer, TemplateOptions, TokenizerFault};
pub use packing::pack;
pub use personal_data::{PersonalData, pseudonymise};
pub use place::Place;
pub use preview::{MaskPreview, MaskedText};
pub use render_error::RenderError;
pub use rendering::Rendering;
pub use report::{DatasetReport, Loss, TemplateSource, TokenCounts};
pub use rows::RowFile;
pub use size_guidance::SizeGuidance;
pub use split::{Split, SplitOptions, split};
pub use text_tokenizer::TextTokenizer;
pub use warning::{DatasetWarning, RenderNote};
