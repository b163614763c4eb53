//! From the shards of one plan, wherever they were held, to one run like any other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use shipworthy_schema::{Evaluation, Persona};
use thiserror::Error;

use crate::evaluation::{EvaluationError, conclude_stored};
use crate::preflight::Preflight;
use crate::preparation::personas_of_run;
use crate::shard::Shard;
use crate::store::{NewRun, ShardRun, Store, StoreError};

/// Says why shards are no whole run.
#[derive(Debug, Error)]
pub enum MergeError {
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The people of a stored run cannot be read.
    #[error(transparent)]
    Personas(#[from] shipworthy_personas::PoolError),
    /// There is no verdict.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// A store that was named holds no shard.
    #[error("store `{path}` holds no shard{}", .plan.as_ref().map_or(String::new(), |plan| format!(" of plan {plan}")))]
    NoShard {
        /// The store.
        path: PathBuf,
        /// The plan that was asked for.
        plan: Option<String>,
    },
    /// No store holds any shard.
    #[error("there is no shard to merge: neither in this project nor in a store that was named")]
    Nothing,
    /// Shards of several plans.
    #[error("the shards are of different plans: {}", .found.join("; "))]
    Plans {
        /// Each plan, with where it was found.
        found: Vec<String>,
    },
    /// Shards that divide the people differently.
    #[error("plan {plan} was divided differently: {}", .found.join("; "))]
    Divisions {
        /// The plan.
        plan: String,
        /// Each division, with where it was found.
        found: Vec<String>,
    },
    /// Some shards are not there.
    #[error(
        "plan {plan}: {} {} missing or not finished; found: {}",
        .missing.join(", "), if .missing.len() == 1 { "is" } else { "are" }, .found.join(", ")
    )]
    Missing {
        /// The plan.
        plan: String,
        /// What is missing.
        missing: Vec<String>,
        /// What is there, with where it was found.
        found: Vec<String>,
    },
    /// One shard was held twice, and not with the same result.
    #[error(
        "shard {shard} of plan {plan} was held twice, and conversation {conversation} is not the \
         same: {first}; {second}"
    )]
    Overlap {
        /// The plan.
        plan: String,
        /// The shard.
        shard: Shard,
        /// The first conversation that differs.
        conversation: String,
        /// Where it was found.
        first: String,
        /// Where it was found too.
        second: String,
    },
    /// A shard holds other conversations than its share.
    #[error("{place}: conversation {conversation} {}", if *.is_missing { "is missing" } else { "is no part of it" })]
    NotItsShare {
        /// The shard, and where it was found.
        place: String,
        /// The conversation.
        conversation: String,
        /// Whether it is missing; else it is one too many.
        is_missing: bool,
    },
    /// Models were asked otherwise on one machine than on another.
    #[error("{first} and {second} were asked differently: preflight of {model} found otherwise")]
    Asked {
        /// The model, by role and name.
        model: String,
        /// A shard.
        first: String,
        /// Another one.
        second: String,
    },
}

/// A shard, and the store that it is in.
struct Found<'a> {
    store: &'a Store,
    shard: ShardRun,
}

impl Found<'_> {
    /// Returns what it is and where, in words.
    fn place(&self) -> String {
        let (run, path) = (&self.shard.run.id, self.store.path().display());
        format!("shard {} (run {run} in `{path}`)", self.shard.shard)
    }
}

/// Gathers all shards of one plan from `others` and `own` into a new run in `own`, compares and
/// decides; returns the run, its persona file and its evaluation.
///
/// `plan`: the first digits of the plan's digest; needed where there are shards of several plans.
pub async fn merge(
    own: &Store,
    others: &[Store],
    plan: Option<&str>,
) -> Result<(String, String, Evaluation), MergeError> {
    let found = find(own, others, plan)?;
    let plan = found[0].shard.run.plan.digest().short().to_owned();
    let chosen = choose(&plan, found)?;
    let people = personas_of_run(&chosen[0].shard.run)?;
    for found in &chosen {
        check_share(found, &people)?;
    }
    let findings = findings(&chosen)?;
    let run = &chosen[0].shard.run;
    let id = own.begin_run(&NewRun {
        plan: &run.plan,
        personas: &run.personas,
        rubric: &run.rubric,
    })?;
    own.put_preflight(&id, &findings)?;
    for found in &chosen {
        own.copy_run(found.store, &found.shard.run.id, &id)?;
    }
    let merged = own.run(&id)?.expect("the run has just begun");
    let evaluation = conclude_stored(own, &merged).await?;
    Ok((id, merged.personas, evaluation))
}

/// Returns the shards of one plan, in all stores.
fn find<'a>(
    own: &'a Store,
    others: &'a [Store],
    plan: Option<&str>,
) -> Result<Vec<Found<'a>>, MergeError> {
    let of_plan = |store: &'a Store| -> Result<Vec<Found<'a>>, StoreError> {
        let runs = store.shard_runs()?.into_iter();
        let wanted = |shard: &ShardRun| plan.is_none_or(|p| shard.run.plan_digest.starts_with(p));
        let found = runs.filter(wanted).map(|shard| Found { store, shard });
        Ok(found.collect())
    };
    let mut found = Vec::new();
    for store in others {
        let there = of_plan(store)?;
        if there.is_empty() {
            return Err(MergeError::NoShard {
                path: store.path().to_owned(),
                plan: plan.map(str::to_owned),
            });
        }
        found.extend(there);
    }
    // What this project holds of other plans is none of the named stores' business.
    let named = found.first().map(|f| f.shard.run.plan_digest.clone());
    let here = of_plan(own)?.into_iter();
    let is_named = |f: &Found<'_>| named.as_ref().is_none_or(|n| *n == f.shard.run.plan_digest);
    found.extend(here.filter(is_named));
    let mut plans: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for f in &found {
        let plan = plans.entry(&f.shard.run.plan_digest).or_default();
        plan.push(f.place());
    }
    match plans.len() {
        0 => Err(MergeError::Nothing),
        1 => Ok(found),
        _ => Err(MergeError::Plans {
            found: listed(&plans, |plan| {
                format!("plan {}", &plan[..12.min(plan.len())])
            }),
        }),
    }
}

fn listed<K>(places: &BTreeMap<K, Vec<String>>, name: impl Fn(&K) -> String) -> Vec<String> {
    let one = |(key, places): (&K, &Vec<String>)| format!("{}: {}", name(key), places.join(", "));
    places.iter().map(one).collect()
}

/// Returns each shard once, in order; all must be there and finished.
fn choose<'a>(plan: &str, found: Vec<Found<'a>>) -> Result<Vec<Found<'a>>, MergeError> {
    let mut divisions: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for f in &found {
        divisions
            .entry(f.shard.shard.of())
            .or_default()
            .push(f.place());
    }
    if divisions.len() > 1 {
        return Err(MergeError::Divisions {
            plan: plan.to_owned(),
            found: listed(&divisions, |of| format!("into {of}")),
        });
    }
    let of = found[0].shard.shard.of();
    let places: Vec<String> = found.iter().map(Found::place).collect();
    let mut chosen: BTreeMap<Shard, Found<'a>> = BTreeMap::new();
    for f in found.into_iter().filter(|f| f.shard.is_done) {
        match chosen.get(&f.shard.shard) {
            Some(first) => check_same(plan, first, &f)?,
            None => {
                chosen.insert(f.shard.shard, f);
            }
        }
    }
    let all = (1..=of).filter_map(|part| Shard::new(part, of));
    let missing: Vec<String> = all
        .filter(|shard| !chosen.contains_key(shard))
        .map(|shard| format!("shard {shard}"))
        .collect();
    if missing.is_empty() {
        Ok(chosen.into_values().collect())
    } else {
        Err(MergeError::Missing {
            plan: plan.to_owned(),
            missing,
            found: places,
        })
    }
}

/// Looks whether two runs of one shard came to the same.
fn check_same(plan: &str, first: &Found<'_>, second: &Found<'_>) -> Result<(), MergeError> {
    let all = |f: &Found<'_>| -> Result<_, StoreError> {
        let run = &f.shard.run.id;
        let conversations = f.store.conversations(run)?;
        let scores = f.store.scores(run)?;
        Ok((conversations, scores))
    };
    let (ours, theirs) = (all(first)?, all(second)?);
    let said = ours.0.iter().zip(&theirs.0).find(|(a, b)| a != b);
    let scored = ours.1.iter().zip(&theirs.1).find(|(a, b)| a != b);
    let differs = said
        .map(|(a, _)| &a.id)
        .or(scored.map(|(a, _)| &a.conversation));
    match differs {
        None => Ok(()),
        Some(id) => Err(MergeError::Overlap {
            plan: plan.to_owned(),
            shard: first.shard.shard,
            conversation: id.to_string(),
            first: first.place(),
            second: second.place(),
        }),
    }
}

/// Looks whether a shard holds the conversations of its share, each with its scores, and no others.
fn check_share(found: &Found<'_>, people: &[Persona]) -> Result<(), MergeError> {
    let (run, shard) = (&found.shard.run, found.shard.shard);
    let mut held: BTreeMap<String, bool> = BTreeMap::new();
    for conversation in found.store.conversations(&run.id)? {
        held.insert(conversation.id.to_string(), false);
    }
    for score in found.store.scores(&run.id)? {
        if let Some(is_scored) = held.get_mut(&score.conversation.to_string()) {
            *is_scored = true;
        }
    }
    let not_its = |conversation: String, is_missing| MergeError::NotItsShare {
        place: found.place(),
        conversation,
        is_missing,
    };
    for model in &run.plan.models {
        for persona in shard.share(people) {
            for repeat in 1..=run.plan.personas.repeats {
                let id = format!("{}/{}/{repeat}", model.name, persona.id);
                if held.remove(&id) != Some(true) {
                    return Err(not_its(id, true));
                }
            }
        }
    }
    match held.into_keys().next() {
        None => Ok(()),
        Some(id) => Err(not_its(id, false)),
    }
}

/// Returns what was found before the shards began, each finding once, in order of the shards.
fn findings(chosen: &[Found<'_>]) -> Result<Preflight, MergeError> {
    let mut all = Preflight::default();
    for found in chosen {
        let theirs = found.store.preflight(&found.shard.run.id)?;
        for (model, examined) in theirs.unwrap_or_default().models {
            let Some(known) = all.models.get_mut(&model) else {
                all.models.insert(model, examined);
                continue;
            };
            if known.adaptation != examined.adaptation {
                return Err(MergeError::Asked {
                    model,
                    first: chosen[0].place(),
                    second: found.place(),
                });
            }
            for finding in examined.findings {
                if !known.findings.contains(&finding) {
                    known.findings.push(finding);
                }
            }
        }
    }
    Ok(all)
}

/// Returns the store that `path` names: a store's file, a `.shipworthy` directory, or a project's.
pub fn store_at(path: &Path) -> PathBuf {
    if !path.is_dir() {
        return path.to_owned();
    }
    let inside = path.join("store.db");
    if inside.is_file() {
        return inside;
    }
    path.join(".shipworthy").join("store.db")
}
