use std::collections::BTreeMap;
use std::sync::Arc;

use shipworthy_backends::{ChatModel, OpenedModel, open};
use shipworthy_schema::yaml::{Place, Spanned};
use shipworthy_schema::{JudgePlan, ModelName, ModelRef, ModelSource, ServedIdentity};

use super::PreparationError;
use crate::config::{Config, ModelEntry, SimulatorConfig, Surroundings};

/// The models of an evaluation, opened.
#[derive(Clone)]
pub struct Models {
    /// Baseline and candidates.
    pub under_test: BTreeMap<ModelName, Arc<dyn ChatModel>>,
    /// Who plays the personas, if a language model does.
    pub simulator: Option<Arc<dyn ChatModel>>,
    /// Who judges, by name; nobody: deterministic checks alone.
    pub judges: BTreeMap<ModelName, Arc<dyn ChatModel>>,
}

/// The models, and what each of them is.
pub(super) struct Opened {
    pub(super) models: Models,
    pub(super) under_test: Vec<ModelRef>,
    pub(super) simulator: Option<ModelRef>,
    /// In name order.
    pub(super) judges: Vec<JudgePlan>,
}

/// Where the entries stand and what they need.
struct Opening<'a> {
    file: &'a str,
    surroundings: &'a Surroundings<'a>,
}

/// Opens every model of `config`, and refuses a judge that is one of the models it would judge.
pub(super) async fn open_all(
    config: &Config,
    file: &str,
    surroundings: &Surroundings<'_>,
) -> Result<Opened, PreparationError> {
    let opening = Opening { file, surroundings };
    let mut models = Models {
        under_test: BTreeMap::new(),
        simulator: None,
        judges: BTreeMap::new(),
    };
    let mut under_test = Vec::new();
    for (name, entry) in &config.models {
        let place = Place::of(file, config.model_field(name), entry);
        let opened = opening.open(&entry.value, place).await?;
        let same = under_test
            .iter()
            .find(|model: &&ModelRef| is_one_place(&model.source, &opened.source));
        if let Some(other) = same {
            let place = Place::of(file, config.model_field(name), entry);
            return Err(PreparationError::SameModel {
                place,
                other: other.name.clone(),
            });
        }
        models.under_test.insert(name.clone(), opened.model);
        under_test.push(ModelRef {
            name: name.clone(),
            source: opened.source,
        });
    }
    let mut simulator = None;
    if let SimulatorConfig::Llm(entry) = &config.simulator.value {
        let place = opening.place("simulator", &config.simulator);
        let opened = opening.open(&entry.model, place).await?;
        models.simulator = Some(opened.model);
        simulator = Some(ModelRef {
            name: SimulatorConfig::name(),
            source: opened.source,
        });
    }
    let mut judges = Vec::new();
    for entry in config.judge.value.entries() {
        let place = opening.place("judge", &config.judge);
        let opened = opening.open(&entry.model, place.clone()).await?;
        let same = under_test
            .iter()
            .find(|model| is_same(&model.source, &opened.source));
        if let (Some(model), false) = (same, entry.allow_same_model) {
            return Err(PreparationError::JudgeIsCandidate {
                place,
                model: model.name.clone(),
            });
        }
        models.judges.insert(entry.name.clone(), opened.model);
        judges.push(JudgePlan {
            model: ModelRef {
                name: entry.name.clone(),
                source: opened.source,
            },
            repeats: entry.repeats.get(),
            sampling: (&entry.sampling).into(),
        });
    }
    // The order in which a file lists its judges changes nothing.
    judges.sort_by(|a, b| a.model.name.cmp(&b.model.name));
    Ok(Opened {
        models,
        under_test,
        simulator,
        judges,
    })
}

impl Opening<'_> {
    fn place<T>(&self, field: &str, value: &Spanned<T>) -> Place {
        Place::of(self.file, field, value)
    }

    async fn open(
        &self,
        entry: &ModelEntry,
        place: Place,
    ) -> Result<OpenedModel, PreparationError> {
        match entry.locate(self.surroundings) {
            Err(source) => Err(PreparationError::Entry { place, source }),
            Ok(location) => open(&location)
                .await
                .map_err(|source| PreparationError::Open { place, source }),
        }
    }
}

/// Tells whether two models are one: the same file, or one id with nothing known that differs.
fn is_same(a: &ModelSource, b: &ModelSource) -> bool {
    match (a, b) {
        (ModelSource::Gguf { digest: a, .. }, ModelSource::Gguf { digest: b, .. })
        | (ModelSource::Scripted { digest: a, .. }, ModelSource::Scripted { digest: b, .. }) => {
            a == b
        }
        (
            ModelSource::Http {
                url: url_a,
                model: id_a,
                served: a,
            },
            ModelSource::Http {
                url: url_b,
                model: id_b,
                served: b,
            },
        ) => id_a == id_b && a.lora == b.lora && (url_a == url_b || !differ(a, b)),
        _ => false,
    }
}

/// Tells whether two models are at one place: the same file, or the same id at the same server with
/// the same adapters.
fn is_one_place(a: &ModelSource, b: &ModelSource) -> bool {
    match (a, b) {
        (
            ModelSource::Http {
                url: url_a,
                model: id_a,
                served: a,
            },
            ModelSource::Http {
                url: url_b,
                model: id_b,
                served: b,
            },
        ) => (url_a, id_a, &a.lora) == (url_b, id_b, &b.lora),
        _ => is_same(a, b),
    }
}

fn differ(a: &ServedIdentity, b: &ServedIdentity) -> bool {
    let paths = a.model_path.is_some() && b.model_path.is_some() && a.model_path != b.model_path;
    let sizes = a.n_params.is_some() && b.n_params.is_some() && a.n_params != b.n_params;
    paths || sizes
}
