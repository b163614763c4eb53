use std::path::PathBuf;

use shipworthy_schema::{ModelName, ModelSource, Verdict};

use super::making::TRAINED;
use crate::store::{Run, RunState, Store, StoreError};

/// Where a model of a run comes from, if a loop made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// What training left, below the project's directory.
    pub trained: PathBuf,
    /// Whether the people of that run are those who confirm it.
    pub confirmed: bool,
    /// What other people came to who were to confirm it.
    pub others: Vec<(String, Verdict)>,
}

/// Returns where the model `name` of `run` comes from, if a loop made its file.
pub fn origin(store: &Store, run: &Run, name: &ModelName) -> Result<Option<Origin>, StoreError> {
    let planned = run.plan.models.iter().find(|it| it.name == *name);
    let Some(ModelSource::Gguf { digest, .. }) = planned.map(|it| &it.source) else {
        return Ok(None);
    };
    let Some(key) = store.candidate_of_file(digest)? else {
        return Ok(None);
    };
    let confirmations = store.confirmations()?;
    let confirmed = confirmations
        .iter()
        .any(|it| it.candidate == key && it.plan.as_str() == run.plan_digest);
    let mut others = Vec::new();
    for other in confirmations.iter().filter(|it| it.candidate == key) {
        let other = store.latest_run_of(&other.plan)?;
        let other = other.filter(|it| it.plan_digest != run.plan_digest);
        if let Some(other) = other
            && let RunState::Finished { verdict, .. } = other.state
        {
            others.push((other.id, verdict));
        }
    }
    let trained = PathBuf::from("candidates").join(key.short()).join(TRAINED);
    Ok(Some(Origin {
        trained,
        confirmed,
        others,
    }))
}
