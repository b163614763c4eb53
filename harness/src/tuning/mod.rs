//! From `finetune_config.yaml` to a tuned model and the records of how it came about.
//!
//! [`TuningConfig`] is the file read, [`Preflight`] everything that can be found out before the first
//! step, and [`run`] the training itself, with what it leaves in the output directory. [`at_hub`] is the
//! same for a training at the Hub.

pub mod at_hub;
mod base_model;
mod config_file;
mod course;
mod error;
mod finished;
mod hardware;
mod ingredients;
mod init_adapter;
mod origins;
mod output_files;
mod output_place;
mod preferences;
mod preflight;
mod relative_path;
mod run;
mod trained_base;
mod training_records;
mod training_times;
mod warnings;

pub use config_file::TuningConfig;
pub use error::TuningError;
pub use finished::{finished, weights_digest};
pub use hardware::{FLAVOURS, Flavour, PRICES_AS_OF, usable_bytes};
pub use ingredients::Ingredients;
pub use output_files::{CONFIG, LINEAGE, METRICS, REPORT};
pub use preflight::Preflight;
pub(crate) use relative_path::relative_path;
pub use run::{RunWatch, run};
pub use trained_base::{OtherBase, TrainedBase};
