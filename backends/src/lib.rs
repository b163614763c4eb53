//! The only crate that runs models.
//!
//! A [`ChatModel`] answers one chat request at a time; many may be under way together. Where the
//! model is — a server, a GGUF file in this process, a file of replies — is a [`ModelLocation`];
//! [`open`] turns one into a model and says what was found there. A [`Trainer`](trainer::Trainer)
//! fine-tunes one.

pub mod chat;
#[cfg(feature = "native")]
mod compute_device;
pub mod diagnosis;
mod error;
pub mod hub;
pub mod jobs;
pub mod likelihood;
mod open;
mod secret;
pub mod server;
pub mod trainer;

pub use chat::{
    Adaptation, ChatModel, Connections, Fingerprint, Neighbours, Parameter, ServerFacts, check_url,
};
pub use error::{ChatError, ErrorKind, OpenError};
pub use open::{ModelLocation, OpenedModel, open};
pub use secret::Secret;
