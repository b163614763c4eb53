use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use shipworthy_personas::leak::{self, Leak};
use shipworthy_personas::{PersonaPool, PersonaSpec, generate};
use shipworthy_schema::yaml::Place;
use shipworthy_schema::{DatasetRef, Digest, Persona};

use super::library::spec_by_name;
use super::{LibraryError, PreparationError};
use crate::config::Config;
use crate::store::Run;

/// Returns the persona spec that `config` names.
pub(super) fn spec(
    config: &Config,
    file: &str,
    directory: &Path,
) -> Result<PersonaSpec, PreparationError> {
    let name = &config.personas.spec;
    spec_by_name(&name.value, directory).map_err(|source| match source {
        LibraryError::Yaml(error) => error.into(),
        source => PreparationError::Library {
            place: Place::of(file, "personas.spec", name),
            source,
        },
    })
}

/// Returns the people that `config` asks for, drawn now; if it names a persona file, they must be
/// the ones in it.
pub(super) fn pool(
    config: &Config,
    file: &str,
    directory: &Path,
    spec: &PersonaSpec,
) -> Result<PersonaPool, PreparationError> {
    let wanted = &config.personas;
    let (start, count) = (wanted.seed_start.value, wanted.count.get());
    let drawn = generate(spec, start, count).map_err(|source| PreparationError::Generate {
        place: Place::of(file, "personas.spec", &wanted.spec),
        source,
    })?;
    let pool = PersonaPool::new(spec.spec_ref(), drawn, file)?;
    let Some(persona_file) = &wanted.file else {
        return Ok(pool);
    };
    let place = Place::of(file, "personas.file", persona_file);
    let path = directory.join(&persona_file.value);
    let text = std::fs::read_to_string(&path).map_err(|source| PreparationError::Read {
        place: place.clone(),
        path: path.clone(),
        source,
    })?;
    let shown = path.display().to_string();
    let given = PersonaPool::parse(&text, &shown)?;
    given.require_spec(&spec.spec_ref(), &shown)?;
    if (given.seed_start(), given.count()) != (start, count) {
        return Err(PreparationError::OtherSeeds {
            place,
            file: shown,
            got_count: given.count(),
            got_start: given.seed_start(),
            count,
            start,
        });
    }
    let mut people = given.personas().iter().zip(pool.personas()).enumerate();
    match people.find(|(_, (given, drawn))| given != drawn) {
        None => Ok(pool),
        Some((index, (persona, _))) => Err(PreparationError::EditedPersona {
            file: shown,
            line: index + 2,
            seed: persona.seed,
        }),
    }
}

/// Looks for the people in the training data that `config` names; returns which data that was.
pub(super) fn check_training_data(
    config: &Config,
    file: &str,
    directory: &Path,
    spec: &PersonaSpec,
    pool: &PersonaPool,
) -> Result<Option<DatasetRef>, PreparationError> {
    let Some(training) = &config.training_data else {
        return Ok(None);
    };
    let path = directory.join(&training.value);
    let failed = |source| PreparationError::Read {
        place: Place::of(file, "training_data", training),
        path: path.clone(),
        source,
    };
    let shown = path.display().to_string();
    let reader = BufReader::new(File::open(&path).map_err(failed)?);
    let report = leak::check(pool, Some(spec), reader, &shown, leak::Options::default())?;
    if let Some((overlap, leak)) = report.leaked().next() {
        return Err(PreparationError::Leak {
            training: shown,
            training_line: leak.training_line(),
            persona: overlap.persona.to_string(),
            found: leak_text(leak),
            more: report.leaked().count() - 1,
        });
    }
    let digest = Digest::of_reader(File::open(&path).map_err(failed)?).map_err(failed)?;
    Ok(Some(DatasetRef {
        path: training.value.display().to_string(),
        digest,
    }))
}

/// Returns what was found of a persona, in words.
pub fn leak_text(leak: &Leak) -> String {
    match leak {
        Leak::Identity { found, .. } => format!("its identity (`{found}`)"),
        Leak::OwnText(found) => {
            format!(
                "{} words in a row of its {}: `{}`",
                found.words, found.field, found.text
            )
        }
        Leak::Combination { levels, .. } => {
            let levels: Vec<String> = levels
                .iter()
                .map(|(factor, level)| format!("{factor} {level}"))
                .collect();
            format!("its combination of levels ({})", levels.join(", "))
        }
    }
}

/// Returns the people of a stored run.
pub fn of_run(run: &Run) -> Result<Vec<Persona>, shipworthy_personas::PoolError> {
    let pool = PersonaPool::parse(&run.personas, &format!("personas of run {}", run.id))?;
    Ok(pool.personas().to_vec())
}
