//! Jobs at the Hugging Face Hub: a script that runs on a machine rented by the minute.
//!
//! A job is described ([`JobSpec`]), given to the Hub, followed by its log, and believed by what it
//! left in its repository ([`Expectation`], [`Proof`]) rather than by what its stage says: a script
//! may fail after its last push, and one that ends well may have pushed nothing.

mod calls;
mod completion;
mod flavour;
mod job;
mod log;
mod specification;

pub use calls::SubmitError;
pub use completion::{Conclusion, Expectation, FileProof, Proof};
pub use flavour::{Flavour, cheapest};
pub use job::{Job, JobId, Stage};
pub use log::{LogLine, LogPosition};
pub use specification::{DEFAULT_IMAGE, JobSpec, MAX_SCRIPT, SpecError};
