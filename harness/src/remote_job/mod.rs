//! A script that runs at the Hub: from its data to what it left, and what the store keeps of it meanwhile.
//!
//! [`launch`] uploads, starts and writes down; [`finish`] follows to the end, looks at what is there and
//! brings it here, in the same process or in another one.

mod error;
mod finish;
mod launch;
mod record;

pub use error::RemoteJobError;
pub use finish::{FinishEvent, Finished, finish};
pub use launch::{Launch, LaunchData, LaunchOutput, launch};
pub use record::{ExpectedOutput, RemoteJob};
