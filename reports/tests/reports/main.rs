//! Every format, rendered from evaluations with each verdict.

#![expect(
    clippy::unwrap_used,
    reason = "the lint's exception for tests does not reach the helpers of a test binary"
)]

// The evaluations that the tests render.
mod evaluation;

// What each format says.
mod snapshots;

// The section on people's labels.
mod human;

// The regression gate.
mod gate;

// Runs beside each other, and a metric over runs.
mod history;

// What each format does with text that wants to be more than text.
mod hostile;

// The corpus of hostile texts in each format.
mod hostile_texts;

// The corpus.
#[path = "../../../tests/support/hostile_texts.rs"]
mod corpus;

// The page in a browser.
mod pages;

// A headless browser.
#[expect(dead_code, reason = "served pages are others'")]
#[path = "../../../tests/support/browser.rs"]
mod browser;

// What programs read back.
mod machine;

// The same verdict and numbers, whatever the format.
mod agreement;

// Reports on training runs.
mod training;

// Training records against those of TensorBoard and transformers.
mod training_records;
