//! Chat templates: from messages to the text a model was trained on.
//!
//! A template is a Jinja program that came with a model. [`ChatTemplates`] are those of one
//! checkpoint, [`ChatTemplate`] one of them, ready to render; [`SpecialTokens`] are the variables
//! that the tokenizer adds. The text equals what transformers' `apply_chat_template` gives.

mod continuation;
mod copying;
mod error;
mod local_time;
mod operators;
mod python_filters;
mod python_json;
mod python_methods;
mod python_values;
mod rendered;
mod rewriting;
mod sandbox;
mod sources;
mod special_tokens;
mod template;

pub use error::{ChatTemplateError, TemplateFault};
pub use local_time::LocalTime;
pub use rendered::RenderedChat;
pub use sandbox::on_large_stack;
pub use sources::ChatTemplates;
pub use special_tokens::SpecialTokens;
pub use template::{ChatInput, ChatTemplate};
