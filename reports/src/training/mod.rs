//! What a training run told and left behind: the report with its curves, and the files that other
//! tools read.

mod chart;
mod curves;
mod event_text;
mod json_documents;
mod loss_warnings;
mod markdown;
mod next_steps;
mod summary;
mod tensorboard;
mod terminal;
mod warning_text;

pub use curves::{learning_rate_svg, loss_svg};
pub use event_text::training_event_text;
pub use json_documents::{lineage_json, metrics_line, trainer_state_json, training_json};
pub use loss_warnings::{loss_ends, loss_warnings};
pub use markdown::training_markdown;
pub use tensorboard::{tensorboard_file_name, tensorboard_head, tensorboard_scalars};
pub use terminal::training_terminal;
pub use warning_text::training_warning_text;
