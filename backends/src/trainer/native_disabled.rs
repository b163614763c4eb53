//! What stands in for the native trainer where this build does not have it.

use super::{TrainError, Trainer};

/// Does nothing: there is no trainer that would share it.
pub fn share_one_heap() {}

/// Says how to build with it.
pub(super) fn open() -> Result<Box<dyn Trainer>, TrainError> {
    Err(TrainError::NotBuilt {
        what: "train models itself",
        feature: "native",
    })
}
