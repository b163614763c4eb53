use std::path::Path;

use super::model_card::{ModelCard, Source, is_path};
use super::model_id::{ModelId, title};
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
            complete(&mut card, id, parameters);
        }
        complete(&mut card, &name(directory), parameters);
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
        let named = card.base_models.filter(|models| !models.is_empty());
        let trained_on = || {
            let id = adapter_config.base_model.as_deref();
            let id = id.filter(|id| !id.is_empty() && !is_path(id));
            let id = id.or_else(|| config.text("_name_or_path").filter(|id| !is_path(id)));
            vec![Source::of_id(id.unwrap_or(&name(base)))]
        };
        card.base_models = Some(named.unwrap_or_else(trained_on));
        complete(&mut card, &name(adapter), parameters);
        Self::with(card, base, parameters)
    }

    fn with(mut card: ModelCard, base: &Path, parameters: u64) -> Result<Self, ModelError> {
        if card.size_label.is_none() && parameters > 0 {
            card.size_label = Some(size_label(parameters));
        }
        let sampling = Sampling::read(base)?;
        Ok(Self { card, sampling })
    }
}

/// Fills in what a name tells and nothing before it did.
fn complete(card: &mut ModelCard, id: &str, parameters: u64) {
    let id = ModelId::parse(id, parameters);
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
