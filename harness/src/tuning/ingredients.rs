use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;
use shipworthy_backends::trainer::{open_trainer, script_version};
use shipworthy_schema::finetune::TrainerKind;
use shipworthy_schema::{Digest, TrainerVersion};

use super::base_model::{ModelDigests, file_digest};
use super::config_file::TuningConfig;
use super::error::TuningError;
use super::origins::ADAPTER_WEIGHTS;
use super::preflight::open_model;

/// Keys that weights do not follow from, and paths, whose content counts instead.
const NOT_INGREDIENTS: [&str; 15] = [
    "dataset",
    "eval_dataset",
    "hub_model_id",
    "hub_private_repo",
    "hub_strategy",
    "init_adapter",
    "logging_steps",
    "model",
    "output_dir",
    "project",
    "python",
    "report_to",
    "resume_from_checkpoint",
    "run_name",
    "trackio_space_id",
];

/// All that tuned weights follow from, by content: with the same of it they need not be made again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ingredients {
    /// Digest of the base's files.
    pub base: Digest,
    /// Digest of the training data.
    pub dataset: Digest,
    /// Digest of the held-out data.
    pub eval_dataset: Option<Digest>,
    /// Digest of the weights of the adapter to begin with.
    pub init_adapter: Option<Digest>,
    /// Who trains.
    pub trainer: TrainerVersion,
    /// The keys of the configuration that matter.
    pub config: BTreeMap<String, Value>,
}

impl Ingredients {
    /// Reads what `config` names; `bases` keeps the digests of models, which take long, by path.
    pub fn of(
        config: &TuningConfig,
        bases: &mut BTreeMap<PathBuf, Digest>,
    ) -> Result<Self, TuningError> {
        let opened = &config.opened;
        let trainer = match opened.trainer {
            TrainerKind::HfJobs => script_version(TrainerKind::HfJobs),
            kind => {
                let trainer = open_trainer(kind).map_err(|source| TuningError::Setting {
                    place: config.places.value_of("trainer"),
                    source,
                })?;
                trainer.version()
            }
        };
        open_model(config)?;
        let base = match bases.get(&opened.model) {
            Some(digest) => digest.clone(),
            None => bases
                .entry(opened.model.clone())
                .or_insert(ModelDigests::of(&opened.model)?.all)
                .clone(),
        };
        let mut keys = config.written.to_map();
        if let Some(job) = keys.get_mut("hf_jobs").and_then(Value::as_object_mut) {
            // On which machine, for how long and in whose name does not matter.
            job.retain(|key, _| ["model", "revision"].contains(&key.as_str()));
        }
        let keys = keys.into_iter();
        let keys = keys.filter(|(key, _)| !NOT_INGREDIENTS.contains(&key.as_str()));
        let eval_dataset = opened
            .eval_dataset
            .as_deref()
            .map(file_digest)
            .transpose()?;
        let init_adapter = opened.init_adapter.as_deref();
        let init_adapter = init_adapter.map(|adapter| file_digest(&adapter.join(ADAPTER_WEIGHTS)));
        Ok(Self {
            base,
            dataset: file_digest(&opened.dataset)?,
            eval_dataset,
            init_adapter: init_adapter.transpose()?,
            trainer,
            config: keys.collect(),
        })
    }

    /// Returns what names the weights.
    pub fn key(&self) -> Digest {
        Digest::of(&serde_json::to_vec(self).expect("ingredients are plain data"))
    }
}
