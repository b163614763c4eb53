//! Plan, simulate, score, compare, decide.
//!
//! [`preparation`] turns a configuration into a fixed plan and opened models, [`evaluation`] is the
//! pipeline, and the modules between are its steps. Nothing here prints, reads the environment or
//! exits; that is the binary's.

pub mod config;
pub mod preflight;
pub mod preparation;

mod file_lock;
pub mod store;

pub mod accounting;
pub mod asking;
pub mod budget;
pub mod halt;
mod known_replies;
pub mod progress;
mod resumption;
pub mod reuse;
pub mod scoring;
pub mod simulation;
mod speaker;
pub mod telemetry;
mod traffic;
mod turn_seed;

pub mod csv_text;
pub mod score_table;

pub mod comparison;
mod conclusion;
pub mod decision;
mod early_stopping;
mod engine;
pub mod evaluation;
pub mod generation;
mod judging_summary;
pub mod merging;
mod pairwise;
mod pairwise_summary;
pub mod plan_difference;
pub mod regression;
pub mod ruling;
pub mod run_difference;
pub mod shard;
mod simulator_audit;
pub mod trend;

pub mod cost_bound;
pub mod effort;
pub mod operating_characteristics;
pub mod pilot;
pub mod sample_size;
pub mod selection;

pub mod remote_job;
pub mod sanity;
pub mod tuning;

pub mod candidates;
pub mod package;

mod human_check;
pub mod labelling;
pub mod loopback;
pub mod watching;

pub mod run_directory;
mod warnings;
