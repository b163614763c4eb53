use serde::{Deserialize, Serialize};
use shipworthy_schema::yaml::Place;
use shipworthy_schema::{CandidateEvaluation, Digest};

use super::error::{LoopError, Setback};
use super::making::{LoopEvent, Making, Project};
use crate::config::{PoolConfig, Quantisation};

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
