//! Values in, words out: terminal, HTML, Markdown, JSON and CSV.
//!
//! Every function takes values, mostly a finished [`Evaluation`](shipworthy_schema::Evaluation) or
//! [`TrainingReport`](shipworthy_schema::TrainingReport), and returns text, or the bytes of another
//! tool's format.
//! Nothing here decides, computes a statistic the comparison does not hold, or touches a file; only the
//! curves of a training run are read here, for what they warn of.
//! What models, judges and configurations wrote is treated as hostile: it reaches no terminal, browser,
//! Markdown renderer, spreadsheet or CI log as anything but plain text.
//!
//! Read the modules in this order: text made inert, then the words every format shares, then one
//! file per format.

#![expect(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "a report is rendered once; the shape of its text matters more than allocations"
)]

mod inert_text;
mod number_text;
mod ticks;

mod evidence_limits;
mod hold_checks;
mod judging_text;
mod notices;
mod reason_text;
mod verdict_text;

mod comparison_json;
mod decision_json;
mod html;
mod markdown;
mod scores_csv;
mod terminal;
mod transcripts_jsonl;

mod training;

pub use comparison_json::compare_json;
pub use decision_json::decision_json;
pub use html::html;
pub use inert_text::{inert_json, one_line};
pub use markdown::markdown;
pub use reason_text::reason_text;
pub use scores_csv::scores_csv;
pub use terminal::{bullets, compare_terminal, headline, table, terminal};
pub use training::{
    learning_rate_svg, lineage_json, loss_svg, loss_warnings, metrics_line, tensorboard_file_name,
    tensorboard_head, tensorboard_scalars, trainer_state_json, training_event_text, training_json,
    training_markdown, training_terminal, training_warning_text,
};
pub use transcripts_jsonl::transcripts_jsonl;
pub use verdict_text::VerdictText;
