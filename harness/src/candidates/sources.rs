use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use shipworthy_schema::Digest;
use shipworthy_schema::yaml::{self, Place, Spanned};

use super::error::LoopError;
use super::recipe::Recipe;
use crate::config::{CandidatesConfig, GridConfig, ProposalsConfig};
use crate::preparation::directory_of;
use crate::tuning::{TuningConfig, TuningError, relative_path};

/// Keys of which a configuration has one: giving the one takes the other away.
const EXCLUSIVE: [(&str, &str); 2] = [
    ("max_steps", "num_train_epochs"),
    ("warmup_ratio", "warmup_steps"),
];

/// Returns the candidates that the loop of the configuration `file` names, those of the list first,
/// then those of the grid.
///
/// Every file they name is read and digested: what is missing is found before anything is trained.
pub(super) fn recipes(
    wanted: &CandidatesConfig,
    file: &Path,
    bases: &mut BTreeMap<PathBuf, Digest>,
) -> Result<Vec<Recipe>, LoopError> {
    let directory = directory_of(file);
    let shown = file.display().to_string();
    let mut recipes = Vec::new();
    for (index, path) in wanted.candidates.iter().enumerate() {
        let field = format!("loop.candidates[{index}]");
        let located = |source| LoopError::Recipe {
            place: Place::of(&shown, field.as_str(), path),
            source: Box::new(source),
        };
        let config = TuningConfig::load(&directory.join(&path.value)).map_err(located)?;
        let name = name_of(&path.value, &wanted.candidates);
        let recipe = Recipe::new(&name, config, bases).map_err(located)?;
        recipes.push(recipe);
    }
    if let Some(grid) = &wanted.grid {
        let located = |source| LoopError::Recipe {
            place: Place::of(&shown, "loop.grid", grid),
            source: Box::new(source),
        };
        recipes.extend(grid_recipes(&grid.value, directory, bases).map_err(located)?);
    }
    for recipe in &recipes {
        if recipe.config.opened.resume_from_checkpoint.is_some() {
            let place = recipe.config.places.value_of("resume_from_checkpoint");
            return Err(LoopError::Checkpoint { place });
        }
    }
    Ok(recipes)
}

/// Returns the configurations that can be read of all candidates that are named; others are found by [`recipes`].
pub(super) fn readable(wanted: &CandidatesConfig, file: &Path) -> Vec<TuningConfig> {
    let directory = directory_of(file);
    let mut found: Vec<TuningConfig> = (wanted.candidates.iter())
        .filter_map(|path| TuningConfig::load(&directory.join(&path.value)).ok())
        .collect();
    let template = |base: &Path| ConfigTemplate::load(&directory.join(base)).ok();
    if let Some(grid) = &wanted.grid
        && let Some(base) = template(&grid.value.base)
    {
        let all = combinations(&grid.value.keys);
        found.extend(all.iter().filter_map(|changes| base.with(changes).ok()));
    }
    if let Some(proposals) = &wanted.proposals
        && let Some(base) = template(&proposals.value.base)
    {
        found.extend(base.with(&BTreeMap::new()).ok());
    }
    found
}

/// Returns the file that proposals begin with, and further training data, named as seen from it.
pub(super) fn proposal_sources(
    wanted: &Spanned<ProposalsConfig>,
    file: &Path,
) -> Result<(ConfigTemplate, Vec<PathBuf>), LoopError> {
    let (directory, proposals) = (directory_of(file), &wanted.value);
    let base = directory.join(&proposals.base);
    let template =
        ConfigTemplate::load(&base).map_err(|source| in_proposals(wanted, file, source))?;
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let base = absolute(&base);
    let from = base.parent().unwrap_or(&base);
    let data = proposals.data.iter();
    let data = data.map(|path| relative_path(from, &absolute(&directory.join(path))));
    Ok((template, data.collect()))
}

/// Puts a mistake where the proposals are named.
pub(super) fn in_proposals(
    wanted: &Spanned<ProposalsConfig>,
    file: &Path,
    source: TuningError,
) -> LoopError {
    LoopError::Recipe {
        place: Place::of(&file.display().to_string(), "loop.proposals", wanted),
        source: Box::new(source),
    }
}

/// Returns a file's name without its ending, or its whole path where that is another's name too.
fn name_of(path: &Path, all: &[Spanned<PathBuf>]) -> String {
    let stem = |path: &Path| {
        path.file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
    };
    let same = all.iter().filter(|other| stem(&other.value) == stem(path));
    match stem(path) {
        Some(stem) if same.count() == 1 => stem,
        _ => path.display().to_string(),
    }
}

fn grid_recipes(
    grid: &GridConfig,
    directory: &Path,
    bases: &mut BTreeMap<PathBuf, Digest>,
) -> Result<Vec<Recipe>, TuningError> {
    let base = ConfigTemplate::load(&directory.join(&grid.base))?;
    let combinations = combinations(&grid.keys);
    let recipe = |changes: BTreeMap<String, Value>| {
        let name = changes_text(&changes);
        Recipe::new(&name, base.with(&changes)?, bases)
    };
    combinations.into_iter().map(recipe).collect()
}

/// Returns every combination of values, those of the last key changing fastest.
fn combinations(keys: &BTreeMap<String, Vec<Value>>) -> Vec<BTreeMap<String, Value>> {
    let mut all = vec![BTreeMap::new()];
    for (key, values) in keys {
        let extended = all
            .iter()
            .flat_map(|combination: &BTreeMap<String, Value>| {
                values.iter().map(move |value| {
                    let mut combination = combination.clone();
                    combination.insert(key.clone(), value.clone());
                    combination
                })
            });
        all = extended.collect();
    }
    all
}

/// Returns keys with values, e.g. `learning_rate=0.0002 lora_r=16`.
pub(super) fn changes_text(changes: &BTreeMap<String, Value>) -> String {
    let change = |(key, value): (&String, &Value)| match value {
        Value::String(text) => format!("{key}={text}"),
        value => format!("{key}={value}"),
    };
    changes.iter().map(change).collect::<Vec<_>>().join(" ")
}

/// A file of which some keys are given other values.
pub(super) struct ConfigTemplate {
    file: PathBuf,
    keys: Map<String, Value>,
}

impl ConfigTemplate {
    pub(super) fn load(file: &Path) -> Result<Self, TuningError> {
        // Its own mistakes are found with their places.
        TuningConfig::load(file)?;
        let text = std::fs::read_to_string(file).map_err(|source| TuningError::Read {
            path: file.to_owned(),
            source,
        })?;
        let keys = yaml::read(&text, &file.display().to_string())?;
        let file = file.to_owned();
        Ok(Self { file, keys })
    }

    /// Returns what a candidate with these changes is called.
    pub(super) fn name_with(&self, changes: &BTreeMap<String, Value>) -> String {
        let stem = self.file.file_stem().unwrap_or_default().to_string_lossy();
        if changes.is_empty() {
            stem.into_owned()
        } else {
            format!("{stem} {}", changes_text(changes))
        }
    }

    pub(super) fn with(
        &self,
        changes: &BTreeMap<String, Value>,
    ) -> Result<TuningConfig, TuningError> {
        let mut keys = self.keys.clone();
        for (key, value) in changes {
            for (one, other) in EXCLUSIVE {
                if key == one {
                    keys.shift_remove(other);
                } else if key == other {
                    keys.shift_remove(one);
                }
            }
            keys.insert(key.clone(), value.clone());
        }
        let text = serde_saphyr::to_string(&keys).expect("keys and values are plain data");
        let shown = format!("{} with {}", self.file.display(), changes_text(changes));
        TuningConfig::parse(&text, &shown, directory_of(&self.file))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_grid_has_every_combination_once() {
        let keys = BTreeMap::from([
            ("lora_r".to_owned(), vec![json!(8), json!(16)]),
            ("learning_rate".to_owned(), vec![json!(0.001), json!(0.002)]),
        ]);
        let names: Vec<String> = combinations(&keys).iter().map(changes_text).collect();
        assert_eq!(
            names,
            [
                "learning_rate=0.001 lora_r=8",
                "learning_rate=0.001 lora_r=16",
                "learning_rate=0.002 lora_r=8",
                "learning_rate=0.002 lora_r=16",
            ]
        );
    }
}
