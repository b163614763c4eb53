//! Values in, words out: terminal, HTML, Markdown, JSON, CSV, JUnit and what other tools read.
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

mod cost_text;
mod evidence_limits;
mod hold_checks;
mod human_text;
mod judging_text;
mod notices;
mod pairwise_text;
mod reason_text;
mod verdict_text;

mod comparison_json;
mod decision_json;
mod github_annotations;
mod html;
mod inspect_log;
mod junit;
mod lm_eval;
mod markdown;
mod model_card;
mod pairs_jsonl;
mod regression;
mod run_difference;
mod scores_csv;
mod terminal;
mod transcripts_jsonl;
mod trend;

mod candidates;
mod package;
mod training;

pub use candidates::{candidate_line, candidates_json, candidates_markdown, candidates_terminal};
pub use comparison_json::compare_json;
pub use cost_text::amount_text;
pub use decision_json::decision_json;
pub use github_annotations::github_annotations;
pub use html::html;
pub use inert_text::{inert_json, one_line, visible};
pub use inspect_log::inspect_log;
pub use junit::{junit, junit_invalid};
pub use lm_eval::{lm_eval_results, lm_eval_samples, task_name};
pub use markdown::regression::regression_markdown;
pub use markdown::{Fit, markdown, markdown_within, verdict_markdown};
pub use model_card::{eval_results, model_index};
pub use package::{Serving, modelfile, package_card, servings};
pub use pairs_jsonl::pairs_jsonl;
pub use reason_text::reason_text;
pub use regression::{regression_json, regression_terminal};
pub use run_difference::{run_difference_json, run_difference_markdown, run_difference_terminal};
pub use scores_csv::{scores_csv, text_cell};
pub use terminal::{bullets, compare_terminal, headline, table, terminal};
pub use training::{
    learning_rate_svg, lineage_json, loss_ends, loss_svg, loss_warnings, metrics_line,
    tensorboard_file_name, tensorboard_head, tensorboard_scalars, trainer_state_json,
    training_event_text, training_json, training_markdown, training_terminal,
    training_warning_text,
};
pub use transcripts_jsonl::transcripts_jsonl;
pub use trend::{trend_json, trend_terminal};
pub use verdict_text::VerdictText;
