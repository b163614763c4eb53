//! Who speaks and what they want: persona grids, held-out draws and user simulators.
//!
//! A [`PersonaSpec`] is a grid of factors; [`generate`] draws people from it,
//! and [`simulator`] plays them.
//! Nothing here calls a model.

mod rng;
mod spec;
mod spec_file;
mod words;

mod draw;
mod generate;

pub mod simulator;

pub use generate::{GenerateError, generate};
pub use spec::PersonaSpec;
