//! What stands in for GGUF files where this build has no llama.cpp.

use std::path::Path;

use crate::{OpenError, OpenedModel};

/// What stands in for likelihoods by llama.cpp.
pub(crate) mod likelihood {
    use std::path::Path;

    use crate::likelihood::{LikelihoodError, LikelihoodModel};

    /// Says how to build with it.
    pub(crate) fn open(_: &Path, _: usize) -> Result<Box<dyn LikelihoodModel>, LikelihoodError> {
        Err(LikelihoodError::NotBuilt {
            what: "run GGUF files",
            feature: "embedded",
        })
    }
}

/// Says how to build with it.
#[expect(
    clippy::unused_async,
    reason = "it has the signature of what it stands in for"
)]
pub(crate) async fn open(
    _path: &Path,
    _shown: &str,
    _context: Option<u32>,
    _threads: Option<u32>,
    _parallel: u32,
) -> Result<OpenedModel, OpenError> {
    Err(OpenError::NotBuilt {
        what: "GGUF files",
        feature: "embedded",
    })
}
