//! NF4, as bitsandbytes has it: 4 bits for a value and a scale for 64.
//!
//! Dettmers et al. 2023, arXiv:2305.14314: the 16 numbers are quantiles of a normal distribution.
//! A matrix is one run of values, whatever its rows: 64 at a time share their largest magnitude.

mod code;
mod error;
mod kernel;
mod matrix;
mod mean;
mod quantiser;

pub use error::Nf4Error;
pub use matrix::{Nf4Absmax, Nf4Matrix};
pub use quantiser::Nf4Quantiser;

/// Values that share a scale.
const BLOCK: usize = 64;

/// Scales that share a scale of their own.
const NESTED_BLOCK: usize = 256;
