//! What stands in for the native trainer where this build does not have it.

use super::{TrainError, Trainer};

/// Says how to build with it.
pub(super) fn open() -> Result<Box<dyn Trainer>, TrainError> {
    Err(TrainError::NotBuilt {
        what: "train models itself",
        feature: "native",
    })
}
