//! Sanity checks before a verdict: what an evaluation by conversation cannot see, or sees late.
//!
//! A [`SanityRequest`] names a base, the forms a candidate exists in, and what to measure them with;
//! [`check()`] looks and returns a [`SanityReport`], one [`CheckOutcome`] for each thing looked at. One
//! file has one check. What is lacking is "not done" with the reason, never passed.

mod error;
mod outcome;
mod request;
mod run;

mod answers;
mod examination;
mod tasks;
mod windows;

mod adapter_effect;
mod agreement;
mod capability;
mod perplexity;
mod reply_end;
mod template;
mod training_curves;

pub use adapter_effect::EffectFigures;
pub use agreement::AgreementFigures;
pub use capability::{ItemAnswer, ItemFigures, TaskFigures};
pub use error::SanityError;
pub use outcome::{CheckOutcome, Figures, SanityCheck, SanityReport, SanityStatus};
pub use perplexity::PerplexityFigures;
pub use reply_end::ReplyFigures;
pub use request::{SanityLimits, SanityRequest};
pub use run::{SanityProgress, check};
pub use tasks::{TaskError, TaskProblem, check_task};
pub use template::TemplateFigures;
pub use training_curves::CurveFigures;
