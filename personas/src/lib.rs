//! Who speaks and what they want: persona grids, held-out draws and user simulators.
//!
//! A [`PersonaSpec`] is a grid of factors; [`generate`] draws people from it, [`PersonaPool`] keeps
//! them in a file, [`leak`] tells whether training data has met them, and [`simulator`] plays them.
//! Nothing here calls a model.

mod rng;
mod spec;
mod spec_file;
mod words;

mod draw;
mod generate;
mod pool;

pub mod leak;
pub mod simulator;

pub use generate::{GenerateError, generate};
pub use pool::{PersonaPool, PoolError};
pub use spec::PersonaSpec;
