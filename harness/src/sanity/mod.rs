//! Sanity checks before a verdict: what an evaluation by conversation cannot see, or sees late.
//!
//! A [`SanityRequest`] names a base, the forms a candidate exists in, and what to measure them with;
//! [`check()`] looks and returns a [`SanityReport`], one [`CheckOutcome`] for each thing looked at. One
//! file has one check. What is lacking is "not done" with the reason, never passed.

mod error;
mod outcome;
mod request;
mod run;

mod template;
mod training_curves;

pub use error::SanityError;
pub use outcome::{CheckOutcome, Figures, SanityCheck, SanityReport, SanityStatus};
pub use request::{SanityLimits, SanityRequest};
pub use run::{SanityProgress, check};
pub use template::TemplateFigures;
pub use training_curves::CurveFigures;
