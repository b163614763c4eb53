//! What stands in for checkpoints where this build cannot compute with them.

use std::path::Path;

use shipworthy_schema::finetune::DeviceChoice;

use super::{LikelihoodError, LikelihoodModel};

/// Says how to build with it.
pub(super) fn open(
    _: &Path,
    _: Option<&Path>,
    _: bool,
    _: DeviceChoice,
) -> Result<Box<dyn LikelihoodModel>, LikelihoodError> {
    Err(LikelihoodError::NotBuilt {
        what: "compute with checkpoints",
        feature: "native",
    })
}
