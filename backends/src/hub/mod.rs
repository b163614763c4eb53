//! The Hugging Face Hub: repositories and their files, over HTTP.
//!
//! A client of our own, and a small one: the `hf-hub` crate knows no jobs, sends large files inside the
//! commit where the Hub offers no Xet storage, begins a download anew after every interruption, and
//! keeps what it got without looking at its digest. Uploads go the way of git's large files, which the
//! Hub takes beside Xet.

mod answer;
mod commit;
mod download;
mod endpoint;
mod error;
mod large_file;
mod listing;
mod rate_limit;
mod repository;
mod transport;
mod upload;

pub use download::Downloaded;
pub use endpoint::{DEFAULT_ENDPOINT, Endpoint};
pub use error::HubError;
pub use listing::{HubCommit, HubFile};
pub use repository::{RepositoryId, RepositoryKind};
pub use transport::{Hub, Patience};
pub use upload::{Upload, Uploaded};

pub(crate) use answer::text_of;
pub(crate) use transport::Repeat;
