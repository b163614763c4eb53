//! Checkpoints: directories that appear whole, and prove when read that they still are.

mod directory;
mod fault;
mod saving;
mod settings;
mod state;
mod trainer_state;

pub use directory::latest_checkpoint;
pub(super) use directory::{
    checkpoints, directory_name, discard, first_of_earlier_run, remove_leftovers,
};
pub use fault::{CheckpointFault, CheckpointProblem};
pub(super) use saving::{Saved, save};
pub use settings::Difference;
pub(super) use settings::{differences, settings};
pub(super) use state::LoadedCheckpoint;
