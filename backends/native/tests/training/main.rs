//! Whole training runs of a tiny model: what they leave, and that nothing is lost when they are cut short.

mod bad_input;
mod endings;
mod resuming;
mod support;
mod what_is_written;
