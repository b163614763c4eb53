use std::path::Path;

use serde::{Deserialize, Serialize};
use shipworthy_schema::{BaseModel, DatasetRef};

use super::base_model::{ModelDigests, file_digest};
use super::config_file::TuningConfig;
use super::error::TuningError;

/// The file of an adapter that its digest is taken of.
pub(super) const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";

/// What goes into a run, by content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origins {
    pub(super) base: BaseModel,
    pub(super) dataset: DatasetRef,
    pub(super) eval_dataset: Option<DatasetRef>,
    pub(super) init_adapter: Option<DatasetRef>,
}

impl Origins {
    /// Takes the digests of everything that goes into a run on this machine.
    pub(super) fn here(config: &TuningConfig, family: String) -> Result<Self, TuningError> {
        let digests = ModelDigests::of(&config.opened.model)?;
        let base = BaseModel {
            model: config.written.model.display().to_string(),
            digest: Some(digests.all),
            weights: digests.weights,
            family,
        };
        Self::with_base(config, base)
    }

    /// Takes the digests of everything but the base.
    pub(super) fn with_base(config: &TuningConfig, base: BaseModel) -> Result<Self, TuningError> {
        let (written, opened) = (&config.written, &config.opened);
        let reference = |written: &Path, opened: &Path| {
            Ok::<_, TuningError>(DatasetRef {
                path: written.display().to_string(),
                digest: file_digest(opened)?,
            })
        };
        let eval_dataset = match (&written.eval_dataset, &opened.eval_dataset) {
            (Some(written), Some(opened)) => Some(reference(written, opened)?),
            _ => None,
        };
        let init_adapter = match (&written.init_adapter, &opened.init_adapter) {
            (Some(written), Some(opened)) => {
                Some(reference(written, &opened.join(ADAPTER_WEIGHTS))?)
            }
            _ => None,
        };
        Ok(Self {
            base,
            dataset: reference(&written.dataset, &opened.dataset)?,
            eval_dataset,
            init_adapter,
        })
    }
}
