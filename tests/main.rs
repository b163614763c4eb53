//! Everything that is tested across crates, in one binary.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

/// The design: edges between crates, lengths of files, what is absent.
mod architecture;

/// From training to a confirmed candidate.
#[cfg(all(feature = "native", feature = "embedded"))]
mod candidates;

/// The same, with jobs of the Hub that train.
#[cfg(all(feature = "native", feature = "embedded"))]
mod loop_at_hub;

/// Scores from elsewhere.
mod compare;

/// What the command says of wrong input, and how it exits.
mod errors;

/// Servers that fail, stall, die and come back; runs that are stopped.
mod faults;

/// What calls take, and what a run may take.
mod cost;

/// Training data checked, converted, divided.
mod data;

/// The same to and from the Hub.
mod data_at_hub;

/// The whole product, as `shipworthy demo` shows it.
#[cfg(all(feature = "native", feature = "embedded"))]
mod demo;

/// `decision.json` against its published schema.
mod decision_schema;

/// Training data made by a teacher.
mod generation;

/// What `--help` shows.
mod help;

/// Runs beside each other, and a score over runs.
mod history;

/// What `inspect` tells of models' files.
mod inspect;

/// Scripts that run at the Hub.
mod jobs;

/// What becomes of a judge's answers.
mod judging;

/// People who score conversations blind.
mod labelling;

/// The same in a browser.
mod labelling_page;

/// The same in a spreadsheet.
mod label_sheet;

/// What is seen of a run that goes on, in a terminal.
mod live_view;

/// The same in a browser.
mod watch_page;

/// Looks before the end, and at people already used.
mod looks;

/// What a training's memory is forecast to be, and is.
#[cfg(all(feature = "native", target_os = "linux"))]
mod memory_forecast;

/// From a base and an adapter to merged checkpoints and GGUF files.
mod model_files;

/// Pages of runs in a browser.
mod pages;

/// What models are asked before a run, and what is done about it.
mod preflight;

/// Whole conversations held against each other.
mod pairwise;

/// Drawing people, and looking for them in training data.
mod personas;

/// Candidates held against a shipped model's committed scores.
mod regression;

/// The same plan twice.
mod repeatable;

/// What earlier runs answer, and what is asked again.
mod reuse;

/// Killed at any moment and resumed.
mod resume;

/// Sanity checks before a verdict, which ask checkpoints.
#[cfg(feature = "native")]
mod sanity;

/// API keys are nowhere.
mod secrets;

/// Servers that a project starts itself.
mod served;

/// Spans of calls at an OTLP collector.
mod tracing;

/// Fine-tuning, and how likely models find conversations.
#[cfg(feature = "native")]
mod training;

/// Shares of a run, held apart and merged.
mod shards;

/// Packages of what ships.
#[cfg(all(feature = "native", feature = "embedded"))]
mod ship;

/// The two kinds of user simulator over HTTP.
mod simulators;

/// TRL at the Hub, as far as that goes without its packages.
mod train_at_hub;

/// TRL in a Python of this machine's, as far as that goes without its packages.
mod trl;

/// The same with its packages; `make interop` runs these.
#[cfg(feature = "interop")]
mod trl_runs;

/// Every verdict: report, JSON and exit code say the same.
mod verdicts;

/// A fake OpenAI server, and ways to run the command.
mod support;
