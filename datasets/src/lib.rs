//! Training data: from files of conversations to token ids and what of them a model learns.

mod example;

pub use example::TokenisedExample;
