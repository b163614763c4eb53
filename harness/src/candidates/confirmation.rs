use serde::{Deserialize, Serialize};
use shipworthy_schema::yaml::Place;
use shipworthy_schema::{CandidateEvaluation, Digest, EarlierConfirmation, ModelSource, SpecRef};

use super::error::{LoopError, Setback};
use super::making::{LoopEvent, Making, Project};
use crate::config::{PoolConfig, Quantisation};
use crate::evaluation::recall;
use crate::store::RunState;

/// Which candidate meets the people of a confirmation pool; entered before the first of them speaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Digest of the persona spec.
    pub spec: Digest,
    /// First seed.
    pub seed_start: u32,
    /// Number of people.
    pub count: u32,
    /// The candidate.
    pub candidate: Digest,
    /// What it was called.
    pub name: String,
    /// Digest of the file that meets them.
    pub gguf: Digest,
    /// Digest of the evaluation's plan.
    pub plan: Digest,
    /// All candidates tried by then: it was the best of them.
    pub tried: Vec<Digest>,
}

impl Confirmation {
    fn end(&self) -> u64 {
        u64::from(self.seed_start) + u64::from(self.count)
    }

    /// Tells whether some of its people are among those of `pool`.
    fn overlaps(&self, spec: &Digest, pool: PoolConfig) -> bool {
        let (start, count) = (u64::from(pool.seed_start), u64::from(pool.count.get()));
        self.spec == *spec && u64::from(self.seed_start) < start + count && start < self.end()
    }

    fn is_of(&self, pool: PoolConfig) -> bool {
        (self.seed_start, self.count) == (pool.seed_start, pool.count.get())
    }
}

/// Returns the confirmation that the people of `pool` are entered for, if they are; errors if they were
/// met otherwise.
pub(super) fn of_pool(
    project: &Project<'_>,
    spec: &Digest,
    pool: PoolConfig,
) -> Result<Option<Confirmation>, LoopError> {
    let (start, count) = (pool.seed_start, pool.count.get());
    let used = |met: String| LoopError::PoolUsed {
        place: place(project),
        seed_start: start,
        last: start.saturating_add(count - 1),
        met,
    };
    let mut entered = None;
    for confirmation in project.store.confirmations()? {
        if confirmation.overlaps(spec, pool) {
            if !confirmation.is_of(pool) {
                return Err(used(format!(
                    "`{}` met {} from seed {}",
                    confirmation.name, confirmation.count, confirmation.seed_start
                )));
            }
            entered = Some(confirmation);
        }
    }
    let own = entered.as_ref().map(|entered| entered.gguf.as_str());
    let looks = project.store.looks_at(spec, start, count)?;
    match looks
        .iter()
        .find(|look| Some(look.candidate.as_str()) != own)
    {
        Some(look) => Err(used(format!("run {} met some of them", look.run))),
        None => Ok(entered),
    }
}

/// Returns what all other people came to who were to confirm a candidate before.
pub(super) fn earlier(
    project: &Project<'_>,
    spec: &SpecRef,
    entered: Option<&Confirmation>,
) -> Result<Vec<EarlierConfirmation>, LoopError> {
    let all = project.store.confirmations()?;
    let others = all.into_iter().filter(|it| Some(it) != entered);
    others.map(|it| came_to(project, spec, it)).collect()
}

fn came_to(
    project: &Project<'_>,
    spec: &SpecRef,
    entry: Confirmation,
) -> Result<EarlierConfirmation, LoopError> {
    let store = &project.store;
    let run = store.latest_run_of(&entry.plan)?;
    let mut evaluation = None;
    if let Some(run) = &run
        && matches!(run.state, RunState::Finished { .. })
    {
        let recalled = recall(store, run).map_err(Box::new)?;
        let compared = &recalled.comparison.candidates;
        let compared = compared.iter().find(|it| it.model.as_str() == entry.name);
        evaluation = compared.map(|it| CandidateEvaluation {
            run: run.id.clone(),
            gain: it.difference,
            ci95: it.ci95,
            verdict: recalled.verdict(),
        });
    }
    let planned = run.map(|run| run.plan.personas.spec.name);
    let named = planned.or_else(|| (entry.spec == spec.digest).then(|| spec.name.clone()));
    Ok(EarlierConfirmation {
        name: entry.name,
        key: entry.candidate,
        spec: named.unwrap_or_else(|| entry.spec.short().to_owned()),
        seed_start: entry.seed_start,
        count: entry.count,
        evaluation,
    })
}

/// Returns where the configuration names the people who confirm.
fn place(project: &Project<'_>) -> Place {
    let file = project.file.display().to_string();
    let wanted = project.config.candidates.as_ref();
    let pool = wanted.and_then(|wanted| wanted.value.confirmation.as_ref());
    match (pool, wanted) {
        (Some(pool), _) => Place::of(&file, "loop.confirmation", pool),
        (None, Some(wanted)) => Place::of(&file, "loop.confirmation", wanted),
        (None, None) => Place {
            file,
            line: 0,
            column: 0,
            field: "loop.confirmation".to_owned(),
        },
    }
}

impl Making<'_> {
    /// Errors if the people of `pool`, who met this candidate, would meet it under another plan now, as far
    /// as that can be told before its file is made.
    pub(super) fn check_plan(
        &self,
        to: Quantisation,
        pool: PoolConfig,
        entered: &Confirmation,
    ) -> Result<(), LoopError> {
        let gguf = self.gguf(to);
        let run = self.project.store.latest_run_of(&entered.plan)?;
        let models = run.map(|run| run.plan.models).unwrap_or_default();
        let planned = models.into_iter().find_map(|it| match it.source {
            ModelSource::Gguf { path, .. } if it.name.as_str() == entered.name => Some(path),
            _ => None,
        });
        let other = || LoopError::OtherPlan {
            place: place(self.project),
            candidate: entered.name.clone(),
        };
        if planned.is_some_and(|planned| planned != gguf.display().to_string()) {
            return Err(other());
        }
        if !self.project.directory().join(&gguf).is_file() {
            return Ok(());
        }
        match self.plan(to, pool) {
            Ok(planned) if planned.prepared.plan.digest() != entered.plan => Err(other()),
            // What is wrong with the candidate alone is told when its turn comes.
            Ok(_) | Err(Setback::OfCandidate(_)) => Ok(()),
            Err(Setback::OfLoop(error)) => Err(*error),
        }
    }

    /// Lets the people of `pool`, whom nobody has met, talk with baseline and candidate, once.
    ///
    /// `entered`: what is entered for them already; `tried`: the candidates that this is the best of.
    pub(super) fn confirm(
        &mut self,
        to: Quantisation,
        pool: PoolConfig,
        spec: &Digest,
        gguf: Digest,
        tried: Vec<Digest>,
        entered: Option<&Confirmation>,
    ) -> Result<CandidateEvaluation, Setback> {
        let name = &self.recipe.name;
        let planned = self.plan(to, pool)?;
        let plan = planned.prepared.plan.digest();
        match entered {
            Some(entered) if entered.plan != plan => {
                return Err(LoopError::OtherPlan {
                    place: place(self.project),
                    candidate: entered.name.clone(),
                }
                .into());
            }
            Some(_) => {}
            None => self.project.store.put_confirmation(&Confirmation {
                spec: spec.clone(),
                seed_start: pool.seed_start,
                count: pool.count.get(),
                candidate: self.recipe.key.clone(),
                name: name.to_string(),
                gguf,
                plan,
                tried,
            })?,
        }
        self.observer.tell(&LoopEvent::Confirming { name });
        self.hold(planned)
    }
}
