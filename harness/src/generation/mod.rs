//! Training data that a teacher makes: training people talk with it, the rubric scores, and what is
//! good enough becomes rows.
//!
//! Conversations are held and scored by the engine of an evaluation, so that they are stored, resumed
//! and paid for in the same way; here is what comes before ([`prepare`]) and after ([`Selection`]).

mod error;
mod filter;
mod held_out;
mod manifest;
mod output;
mod preparation;
mod row;
mod selection;
mod talks;

pub use error::GenerationError;
pub use filter::{Filter, Rejection};
pub use held_out::HeldOut;
pub use output::{OutputFiles, Written};
pub use preparation::{Generation, prepare};
pub use row::TrainingRow;
pub use selection::Selection;
pub(crate) use talks::hold_and_select;
pub use talks::{Generated, generate};
