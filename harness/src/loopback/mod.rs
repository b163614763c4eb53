//! Pages for people on this machine: served on 127.0.0.1, to whoever has their address.

mod answer;
mod site;
mod token;

pub use answer::Answer;
pub use site::{Asked, Pages, ServeError, Site};
pub use token::Token;
