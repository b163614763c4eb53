use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use shipworthy_schema::yaml::{Place, Spanned};
use shipworthy_schema::{Digest, SpecRef};

use super::error::LoopError;
use super::proposal::Proposal;
use super::recipe::Recipe;
use super::sources::{in_proposals, proposal_sources, recipes};
use crate::config::{CandidatesConfig, Config, Pools};
use crate::preparation::{Inputs, directory_of, spec_by_name};
use crate::sanity::check_task;

/// What a loop begins with; all that can be wrong before anything is trained is found while reading it.
pub struct LoopInputs {
    /// The candidates that are named; proposals follow from their results.
    pub recipes: Vec<Recipe>,
    /// Who talks with them.
    pub pools: Pools,
    /// The grid these people are from.
    pub(super) spec: SpecRef,
    /// Digests of base models by path.
    pub(super) bases: BTreeMap<PathBuf, Digest>,
}

impl LoopInputs {
    /// Reads what the loop of the configuration `file` names, and looks for its people in all data that is
    /// learnt from.
    pub fn read(config: &Config, file: &Path) -> Result<Self, LoopError> {
        let wanted = &config.candidates.as_ref().ok_or(LoopError::NoLoop)?.value;
        let pools = config.pools().ok_or(LoopError::NoLoop)?;
        if wanted.sanity_checks {
            look_at_tasks(&wanted.tasks, file)?;
        }
        let mut bases = BTreeMap::new();
        let recipes = recipes(wanted, file, &mut bases)?;
        let mut names = BTreeSet::from([&config.baseline.value]);
        for recipe in &recipes {
            if !names.insert(&recipe.name) {
                let name = recipe.name.clone();
                return Err(LoopError::SameName { name });
            }
        }
        for pool in [pools.development, pools.confirmation] {
            read_evaluation(&config.on_pool(pool), file)?;
        }
        let first = first_proposal(wanted, file, &mut bases)?;
        look_for_people(config, file, pools, recipes.iter().chain(&first))?;
        let spec = spec_by_name(&config.personas.spec.value, directory_of(file))
            .expect("it was read a moment ago")
            .spec_ref();
        Ok(Self {
            recipes,
            pools,
            spec,
            bases,
        })
    }
}

/// Looks whether the checks can ask what they are to ask.
fn look_at_tasks(tasks: &[Spanned<PathBuf>], file: &Path) -> Result<(), LoopError> {
    for (idx, task) in tasks.iter().enumerate() {
        check_task(&directory_of(file).join(&task.value)).map_err(|source| {
            let shown = file.display().to_string();
            let place = Place::of(&shown, format!("loop.tasks[{idx}]"), task);
            LoopError::Task { place, source }
        })?;
    }
    Ok(())
}

/// Returns the candidate that proposals begin with, if there are any.
fn first_proposal(
    wanted: &CandidatesConfig,
    file: &Path,
    bases: &mut BTreeMap<PathBuf, Digest>,
) -> Result<Option<Recipe>, LoopError> {
    let Some(proposals) = &wanted.proposals else {
        return Ok(None);
    };
    let located = |source| in_proposals(proposals, file, source);
    let (template, _) = proposal_sources(proposals, file)?;
    let changes = Proposal::first().changes;
    let config = template.with(&changes).map_err(located)?;
    let recipe = Recipe::new(&template.name_with(&changes), config, bases).map_err(located)?;
    Ok(Some(recipe))
}

/// Looks for the people of both pools in what `recipes` learn from.
pub(super) fn look_for_people<'a>(
    config: &Config,
    file: &Path,
    pools: Pools,
    recipes: impl IntoIterator<Item = &'a Recipe>,
) -> Result<(), LoopError> {
    let mut seen = BTreeSet::new();
    for recipe in recipes {
        if !seen.insert(&recipe.ingredients.dataset) {
            continue;
        }
        for pool in [pools.development, pools.confirmation] {
            let dataset = recipe.dataset_from(directory_of(file));
            let of_candidate =
                config.of_candidate(pool, &recipe.name, &recipe.directory(), dataset);
            read_evaluation(&of_candidate, file)?;
        }
    }
    Ok(())
}

fn read_evaluation(config: &Config, file: &Path) -> Result<(), LoopError> {
    let read = Inputs::read(config, file);
    read.map(drop)
        .map_err(|error| LoopError::from(Box::new(error)))
}
