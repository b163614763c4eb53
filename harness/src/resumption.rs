//! Which run `--resume` goes on with, or what differs where there is none.

use shipworthy_schema::{ModelSource, Plan, ServedIdentity};

use crate::evaluation::EvaluationError;
use crate::shard::Shard;
use crate::store::{Run, RunState, Store};

/// Returns the latest run of `plan`, or says what an unfinished run of another plan has otherwise.
pub(crate) fn run_to_resume(
    store: &Store,
    plan: &Plan,
    shard: Option<Shard>,
) -> Result<Run, EvaluationError> {
    let latest = match shard {
        Some(shard) => store.latest_shard_of(&plan.digest(), shard)?,
        None => store.latest_run_of(&plan.digest())?,
    };
    if let Some(run) = latest {
        return Ok(run);
    }
    let mut unfinished = None;
    for run in store.runs()? {
        if run.plan.is_generation() != plan.is_generation() {
            continue;
        }
        let is_finished = matches!(
            run.state,
            RunState::Finished { .. } | RunState::Generated { .. }
        );
        if !is_finished && store.shard_of(&run.id)?.map(|(shard, _)| shard) == shard {
            unfinished = Some(run);
            break;
        }
    }
    Err(match unfinished {
        Some(run) => EvaluationError::PlanChanged {
            fields: changed_fields(&run.plan, plan),
            is_served: differ_in_what_is_served(&run.plan, plan),
            run: run.id,
        },
        None => EvaluationError::NothingToResume,
    })
}

/// Tells whether two plans differ in nothing but what servers say that they serve.
fn differ_in_what_is_served(old: &Plan, new: &Plan) -> bool {
    let without_identities = |plan: &Plan| {
        let mut plan = plan.clone();
        for model in &mut plan.models {
            if let ModelSource::Http { served, .. } = &mut model.source {
                *served = ServedIdentity::default();
            }
        }
        plan
    };
    without_identities(old) == without_identities(new)
}

/// Returns the paths at which two plans differ, e.g. `models.tuned`.
fn changed_fields(old: &Plan, new: &Plan) -> Vec<String> {
    let value = |plan: &Plan| serde_json::to_value(plan).expect("a plan is plain data");
    let (old_value, new_value) = (value(old), value(new));
    let mut fields = Vec::new();
    let keys = new_value
        .as_object()
        .into_iter()
        .flat_map(serde_json::Map::keys);
    for key in keys.filter(|key| old_value.get(key) != new_value.get(key)) {
        if key == "models" {
            let changed = new
                .models
                .iter()
                .filter(|model| !old.models.contains(model));
            fields.extend(changed.map(|model| format!("models.{}", model.name)));
        } else {
            fields.push(key.clone());
        }
    }
    fields
}
