use std::path::PathBuf;

use shipworthy_backends::OpenError;
use shipworthy_backends::server::ServerError;
use shipworthy_personas::leak::LeakError;
use shipworthy_personas::{GenerateError, PoolError};
use shipworthy_rubrics::NothingToScore;
use shipworthy_schema::ModelName;
use shipworthy_schema::yaml::{Place, YamlError};
use shipworthy_stats::StatsError;
use thiserror::Error;

use super::LibraryError;
use crate::config::EntryError;

/// Says why an evaluation cannot begin.
#[derive(Debug, Error)]
pub enum PreparationError {
    /// A YAML file is not what was expected.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// A spec or rubric is neither in the library nor a file that can be read.
    #[error("{place}: {source}")]
    Library {
        /// The field that names it.
        place: Place,
        /// Why.
        source: LibraryError,
    },
    /// A file that the configuration names cannot be read.
    #[error("{place}: failed to read `{path}`: {source}")]
    Read {
        /// The field that names it.
        place: Place,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A model entry cannot be used here.
    #[error("{place}: {source}")]
    Entry {
        /// The entry.
        place: Place,
        /// Why.
        source: EntryError,
    },
    /// A server of `serve` does not serve.
    #[error("{place}: {source}")]
    Server {
        /// The server.
        place: Place,
        /// Why.
        source: ServerError,
    },
    /// A model cannot be opened.
    #[error("{place}: {source}")]
    Open {
        /// The entry.
        place: Place,
        /// Why.
        source: OpenError,
    },
    /// The judge is one of the models it would judge.
    #[error(
        "{place}: the judge is the same model as `{model}`, and models favour themselves; name \
         another judge, or set `allow_same_model: true` there"
    )]
    JudgeIsCandidate {
        /// The judge.
        place: Place,
        /// The model under test.
        model: ModelName,
    },
    /// Two models are one.
    #[error(
        "{place}: the same model as `{other}`, so every difference would be 0; name the model to be \
         compared with it"
    )]
    SameModel {
        /// The second of the two.
        place: Place,
        /// The first of the two.
        other: ModelName,
    },
    /// The rubric gives no score in this plan.
    #[error("{place}: {source}")]
    NothingToScore {
        /// The field that names the rubric.
        place: Place,
        /// Why.
        source: NothingToScore,
    },
    /// A criterion waits for a level that the spec does not have.
    #[error(
        "{place}: criterion `{criterion}` applies when {condition}, which is never so: persona \
         spec `{spec}` {known}"
    )]
    NeverApplies {
        /// The field that names the rubric.
        place: Place,
        /// The criterion.
        criterion: String,
        /// The condition's unknown part.
        condition: String,
        /// The spec.
        spec: String,
        /// What the spec has instead.
        known: String,
    },
    /// The planned looks have no levels.
    #[error("{place}: {source}")]
    EarlyStopping {
        /// The looks.
        place: Place,
        /// Why.
        source: StatsError,
    },
    /// The personas cannot be drawn.
    #[error("{place}: {source}")]
    Generate {
        /// The personas' field.
        place: Place,
        /// Why.
        source: GenerateError,
    },
    /// The persona file is wrong.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The persona file has other seeds than the configuration.
    #[error(
        "{place}: {file} holds {got_count} personas from seed {got_start} on, the configuration \
         asks for {count} from {start} on"
    )]
    OtherSeeds {
        /// The field that names the file.
        place: Place,
        /// The persona file.
        file: String,
        /// Its number of personas.
        got_count: u32,
        /// Its first seed.
        got_start: u32,
        /// The configuration's number of personas.
        count: u32,
        /// The configuration's first seed.
        start: u32,
    },
    /// The persona file was edited by hand, so nothing shows that its people are held out.
    #[error(
        "{file}:{line}: this is not the person that seed {seed} of the spec gives; personas are \
         held out because they are drawn, so change the spec and draw again"
    )]
    EditedPersona {
        /// The persona file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// The seed.
        seed: u32,
    },
    /// The training data cannot be checked.
    #[error(transparent)]
    TrainingData(#[from] LeakError),
    /// Personas were found in the training data.
    #[error("{training}:{training_line}: training data holds persona {persona}: {found}{}", others(*.more))]
    Leak {
        /// The training file.
        training: String,
        /// Its line, from 1.
        training_line: usize,
        /// The first persona found.
        persona: String,
        /// What was found of it.
        found: String,
        /// Personas found beside it.
        more: usize,
    },
}

fn others(more: usize) -> String {
    match more {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    }
}
