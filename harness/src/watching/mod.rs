//! A run that goes on, as a page: what every model did so far, every conversation as it ends, and the
//! report in the end. Nothing on it compares models.

mod pages;
mod watch;

pub use pages::WatchPages;
pub use watch::{End, Watch};
