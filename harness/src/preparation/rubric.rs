use std::path::Path;

use shipworthy_personas::PersonaSpec;
use shipworthy_rubrics::{Condition, Rubric};
use shipworthy_schema::yaml::Place;

use super::library::rubric_by_name;
use super::{LibraryError, PreparationError};
use crate::config::Config;

/// Returns the rubric that `config` names, with its YAML, if it can score this evaluation.
///
/// A condition that names a factor or level which the persona spec does not have would never hold,
/// and the criterion would look tested; it is refused.
pub(super) fn read(
    config: &Config,
    file: &str,
    directory: &Path,
    spec: &PersonaSpec,
) -> Result<(Rubric, String), PreparationError> {
    let name = &config.rubric;
    let place = || Place::of(file, "rubric", name);
    let (rubric, text) = rubric_by_name(&name.value, directory).map_err(|source| match source {
        LibraryError::Yaml(error) => error.into(),
        source => PreparationError::Library {
            place: place(),
            source,
        },
    })?;
    let has_judge = !config.judge.value.entries().is_empty();
    rubric
        .can_score(has_judge)
        .map_err(|source| PreparationError::NothingToScore {
            place: place(),
            source,
        })?;
    for (_, criterion) in rubric.criteria() {
        let factors = criterion
            .applies_when()
            .into_iter()
            .flat_map(Condition::factors);
        for (factor, wanted) in factors {
            let levels = spec.levels(factor).unwrap_or_default();
            if let Some(unknown) = wanted.iter().find(|level| !levels.contains(level)) {
                return Err(PreparationError::NeverApplies {
                    place: place(),
                    criterion: criterion.id().to_string(),
                    condition: format!("{factor} is {unknown}"),
                    spec: spec.name().to_owned(),
                    known: match levels {
                        [] => format!("has no factor `{factor}`"),
                        levels => format!("knows only {}", levels.join(", ")),
                    },
                });
            }
        }
    }
    Ok((rubric, text))
}
