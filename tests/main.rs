//! Everything that is tested across crates, in one binary.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

/// The design: edges between crates, lengths of files, what is absent.
mod architecture;

/// A fake OpenAI server, and ways to run the command.
mod support;
