use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use shipworthy_backends::trainer::TrainError;
use shipworthy_models::Checkpoint;
use shipworthy_schema::finetune::{Method, TrainerKind};
use shipworthy_schema::{Digest, ModelName};

use crate::tuning::{Ingredients, TuningConfig, TuningError};

/// How one candidate is made.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// What plans and reports call it.
    pub name: ModelName,
    /// How it is trained; where to, the loop decides.
    pub config: TuningConfig,
    /// What its weights follow from.
    pub ingredients: Ingredients,
    /// Their digest: what names the candidate in the store and among directories.
    pub key: Digest,
    /// Why it was proposed, where it was.
    pub proposed: Option<String>,
}

impl Recipe {
    /// Reads what `config` names; `bases` keeps the digests of models by path.
    pub fn new(
        name: &str,
        config: TuningConfig,
        bases: &mut BTreeMap<PathBuf, Digest>,
    ) -> Result<Self, TuningError> {
        check_mergeable(&config)?;
        let ingredients = Ingredients::of(&config, bases)?;
        let key = ingredients.key();
        // A name may be made of many values, and names are bounded.
        let name = ModelName::new(name)
            .or_else(|_| ModelName::new(key.short()))
            .expect("digits are a name");
        Ok(Self {
            name,
            config,
            ingredients,
            key,
            proposed: None,
        })
    }

    /// Tells whether a job of the Hub trains it.
    pub(super) fn is_at_hub(&self) -> bool {
        self.config.opened.trainer == TrainerKind::HfJobs
    }

    /// Returns its directory below the project's, the same for the same ingredients.
    pub fn directory(&self) -> PathBuf {
        PathBuf::from("candidates").join(self.key.short())
    }

    /// Returns the path of its training data, relative to `directory` where it is inside.
    pub(super) fn dataset_from(&self, directory: &Path) -> PathBuf {
        let dataset = &self.config.opened.dataset;
        match dataset.strip_prefix(directory) {
            Ok(inside) => inside.to_owned(),
            Err(_) => std::path::absolute(dataset).unwrap_or_else(|_| dataset.clone()),
        }
    }

    /// Returns its configuration's keys but where it is written to.
    pub(super) fn keys(&self) -> Map<String, Value> {
        let mut keys = self.config.written.to_map();
        keys.remove("output_dir");
        keys
    }
}

/// Errors if an adapter from the Hub could not be merged here, which is better known before it is paid for.
fn check_mergeable(config: &TuningConfig) -> Result<(), TuningError> {
    let opened = &config.opened;
    if opened.trainer != TrainerKind::HfJobs || opened.method == Method::Full {
        return Ok(());
    }
    Checkpoint::open(&opened.model)
        .map(drop)
        .map_err(|error| TuningError::Setting {
            place: config.places.value_of("model"),
            source: TrainError::Setting {
                key: "model",
                detail: format!(
                    "a loop merges what the job learns into the base, whose weights have to be here: {error}"
                ),
            },
        })
}
