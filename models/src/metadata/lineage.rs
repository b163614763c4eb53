use std::path::Path;

use super::model_card::{ModelCard, Source, is_path};
use super::model_id::{Extent, ModelId, title};
use super::sampling::Sampling;
use super::size_label::size_label;
use crate::adapter::AdapterConfig;
use crate::error::ModelError;
use crate::model_config::ModelConfig;

/// What a model is called and comes from: its card, and where that is silent, what its name tells.
///
/// Of a merged model, the adapter's card goes before the base's in everything that holds for both:
/// licence, data sets, tags and languages. Name, author, version, description and addresses are the
/// adapter's alone, because the base's would be wrong. It comes from the base model that the adapter's
/// card names, else from what `adapter_config.json` calls it, else from the base's own name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lineage {
    /// What the card says, completed.
    pub card: ModelCard,
    /// How the model's makers would sample from it.
    pub sampling: Sampling,
}

impl Lineage {
    /// Reads card, `generation_config.json` and name of a checkpoint.
    ///
    /// `parameters`: how many values the tensors have, for the size's label.
    pub fn of_checkpoint(
        directory: &Path,
        config: &ModelConfig,
        parameters: u64,
    ) -> Result<Self, ModelError> {
        let mut card = ModelCard::read(directory)?;
        // A name that the model was loaded by; more than one slash is a path on somebody's machine.
        let loaded_as = config.text("_name_or_path");
        if let Some(id) = loaded_as.filter(|id| id.matches('/').count() <= 1) {
            complete(&mut card, id, Extent::Model(parameters));
        }
        complete(&mut card, &name(directory), Extent::Model(parameters));
        Self::with(card, directory, parameters)
    }

    /// Reads what is said of a base and of an adapter that is merged into it.
    ///
    /// `parameters`: how many values the merged tensors have, for the size's label.
    pub fn of_merged(
        base: &Path,
        config: &ModelConfig,
        adapter: &Path,
        adapter_config: &AdapterConfig,
        parameters: u64,
    ) -> Result<Self, ModelError> {
        let of_base = ModelCard::read(base)?;
        let mut card = ModelCard::read(adapter)?;
        if card.license.is_none() {
            card.license = of_base.license;
            card.license_name = card.license_name.or(of_base.license_name);
            card.license_link = card.license_link.or(of_base.license_link);
        }
        card.datasets = card.datasets.or(of_base.datasets);
        card.tags = card.tags.or(of_base.tags);
        card.languages = card.languages.or(of_base.languages);
        let loaded_as = config.text("_name_or_path").filter(|id| !is_path(id));
        let own = loaded_as.map_or_else(|| name(base), str::to_owned);
        comes_from(&mut card, adapter_config, Some(&own));
        complete(&mut card, &name(adapter), Extent::Model(parameters));
        Self::with(card, base, parameters)
    }

    /// Reads what is said of an adapter that stays one.
    ///
    /// `parameters`: how many of the base's values the adapter changes; it is not written, because it
    /// is not how many values the adapter has.
    pub fn of_adapter(
        directory: &Path,
        config: &AdapterConfig,
        parameters: u64,
    ) -> Result<Self, ModelError> {
        let mut card = ModelCard::read(directory)?;
        comes_from(&mut card, config, None);
        complete(&mut card, &name(directory), Extent::Adapter(parameters));
        Self::with(card, directory, 0)
    }

    fn with(mut card: ModelCard, base: &Path, parameters: u64) -> Result<Self, ModelError> {
        if card.size_label.is_none() && parameters > 0 {
            card.size_label = Some(size_label(parameters));
        }
        let sampling = Sampling::read(base)?;
        Ok(Self { card, sampling })
    }
}

/// Fills in what an adapter was trained on: its card's word, its configuration's, or `own`.
///
/// A path on somebody's machine tells nothing, but for its last part where nothing else is known.
fn comes_from(card: &mut ModelCard, config: &AdapterConfig, own: Option<&str>) {
    if card
        .base_models
        .as_ref()
        .is_some_and(|models| !models.is_empty())
    {
        return;
    }
    let given = config.base_model.as_deref().filter(|id| !id.is_empty());
    let id = given.filter(|id| !is_path(id)).or(own).or(given);
    card.base_models = id.map(|id| vec![Source::of_id(id)]);
}

/// Fills in what a name tells and nothing before it did.
fn complete(card: &mut ModelCard, id: &str, extent: Extent) {
    let id = ModelId::parse(id, extent);
    let fill = |field: &mut Option<String>, found: Option<String>| {
        if field.is_none() {
            *field = found;
        }
    };
    fill(&mut card.name, id.name.as_deref().map(title));
    fill(
        &mut card.organization,
        id.organization.as_deref().map(title),
    );
    fill(&mut card.basename, id.basename);
    fill(&mut card.finetune, id.finetune);
    fill(&mut card.version, id.version);
    fill(&mut card.size_label, id.size_label);
}

/// Returns the last part of a directory's path, also of `.` and of what ends in `..`.
fn name(directory: &Path) -> String {
    let last = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let resolved = || last(&directory.canonicalize().ok()?);
    last(directory).or_else(resolved).unwrap_or_default()
}
