//! What a file or directory is, said in a form to print or to compare, and what is doubtful about it.
//!
//! [`inspect`] tells what a path is; the descriptions say what its files say, and the [`Finding`]s what
//! a person should know before training, merging or serving.

mod error;
mod finding;

mod finite;
mod naming;

mod chat;
mod weights;

mod adapter;
mod checkpoint;
mod gguf;

mod adapter_findings;
mod checkpoint_findings;
mod gguf_findings;

mod inspection;
#[cfg(test)]
mod tests;

pub use adapter::{AdapterDescription, BaseDescription, ScaleCount, ValuePlace};
pub use chat::{ChatDescription, ChatFeatures, SystemRole};
pub use checkpoint::{
    CheckpointDescription, QuantisationDescription, RopeScalingDescription, SizesDescription,
};
pub use error::InspectError;
pub use finding::{Finding, Level};
pub use gguf::{
    GgufAdapterDescription, GgufDescription, SpecialTokenDescription, SplitDescription,
    TensorTypeCount, TokenizerDescription,
};
pub use inspection::{InspectOptions, Inspection, Subject, inspect};
pub use naming::Training;
pub use weights::{DtypeCount, WeightsDescription};
