use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use shipworthy_schema::yaml::Spanned;
use shipworthy_schema::{
    CandidateLineage, CandidatePool, CandidateResult, CandidateState, CandidateTable, Digest,
    EarlierConfirmation, SpecRef, Unconfirmed, Verdict,
};

use super::at_hub::cost_at_hub;
use super::choice::{best, may_be_confirmed, verdict};
use super::confirmation::{self, Confirmation};
use super::differences::differences;
use super::error::{LoopError, Setback};
use super::inputs::{LoopInputs, look_for_people};
use super::making::{LoopEvent, Making, Observer, Project};
use super::proposal::{Proposal, Proposed, propose};
use super::recipe::Recipe;
use super::sources::{in_proposals, proposal_sources};
use crate::config::{CandidatesConfig, PoolConfig, Pools, ProposalsConfig, StopOn};
use crate::run_directory::write_file;

/// Where a loop's report is, below the project's directory.
const REPORT: [&str; 2] = ["candidates/report.md", "candidates/report.json"];

/// Makes all candidates that the project's loop names, lets the best of them meet people nobody has met,
/// and writes what came of it.
///
/// What the store has is not done again. A candidate that fails, diverges or uses up a budget is told of
/// in the table and keeps no other from its turn. Errors are what keeps everybody from it; then, and
/// when somebody asks for the end, calling it again goes on.
pub fn run_loop(
    project: &Project<'_>,
    observer: &dyn Observer,
) -> Result<CandidateTable, LoopError> {
    let Some(_lock) = project.store.lock_run("loop")? else {
        return Err(LoopError::Busy);
    };
    let mut candidates = Candidates::begin(project, observer)?;
    candidates.try_all()?;
    let table = candidates.conclude()?;
    write(project.directory(), &table)?;
    Ok(table)
}

fn write(directory: &Path, table: &CandidateTable) -> Result<(), LoopError> {
    let texts = [
        shipworthy_reports::candidates_markdown(table),
        shipworthy_reports::candidates_json(table),
    ];
    for (name, text) in REPORT.iter().zip(texts) {
        write_file(&directory.join(name), &text)?;
    }
    Ok(())
}

/// All candidates of a loop, and what is known of them.
struct Candidates<'a> {
    project: &'a Project<'a>,
    observer: &'a dyn Observer,
    wanted: &'a CandidatesConfig,
    pools: Pools,
    spec: SpecRef,
    recipes: Vec<Recipe>,
    results: Vec<CandidateResult>,
    /// What the people who confirm are entered for already.
    entered: Option<Confirmation>,
    /// What other people came to who were to confirm a candidate before.
    earlier: Vec<EarlierConfirmation>,
    /// What the calls of each candidate's runs cost.
    money: BTreeMap<Digest, f64>,
    /// Digests of base models by path.
    bases: BTreeMap<PathBuf, Digest>,
}

impl<'a> Candidates<'a> {
    /// Finds all that can be wrong before anything is trained.
    fn begin(project: &'a Project<'a>, observer: &'a dyn Observer) -> Result<Self, LoopError> {
        let wanted = project.wanted()?;
        let LoopInputs {
            recipes,
            pools,
            spec,
            bases,
        } = LoopInputs::read(project.config, project.file)?;
        let entered = confirmation::of_pool(project, &spec.digest, pools.confirmation)?;
        let earlier = confirmation::earlier(project, &spec, entered.as_ref())?;
        let candidates = Self {
            project,
            observer,
            wanted,
            pools,
            spec,
            recipes,
            results: Vec::new(),
            entered,
            earlier,
            money: BTreeMap::new(),
            bases,
        };
        candidates.check_entered(&candidates.recipes)?;
        Ok(candidates)
    }

    /// Errors if the people who confirm have met one of these candidates in an evaluation that was planned
    /// otherwise.
    fn check_entered(&self, recipes: &[Recipe]) -> Result<(), LoopError> {
        let Some(entered) = &self.entered else {
            return Ok(());
        };
        let Some(recipe) = recipes.iter().find(|it| it.key == entered.candidate) else {
            return Ok(());
        };
        let making = Making::recall(self.project, self.observer, recipe, String::new())?;
        making.check_plan(self.wanted.quantize, self.pools.confirmation, entered)
    }

    fn try_all(&mut self) -> Result<(), LoopError> {
        for index in 0..self.recipes.len() {
            let recipe = self.recipes[index].clone();
            self.try_one(&recipe)?;
        }
        match &self.wanted.proposals {
            Some(proposals) => self.try_proposals(proposals),
            None => Ok(()),
        }
    }

    /// Tries what rules propose after each candidate, beginning with their file as it is.
    fn try_proposals(&mut self, wanted: &Spanned<ProposalsConfig>) -> Result<(), LoopError> {
        let file = self.project.file;
        let (template, data) = proposal_sources(wanted, file)?;
        let located = |source| in_proposals(wanted, file, source);
        let mut tried: Vec<Proposed> = Vec::new();
        let mut next = Some(Proposal::first());
        let mut bases = std::mem::take(&mut self.bases);
        for _ in 0..wanted.value.most.get() {
            let Some(Proposal { changes, why }) = next else {
                break;
            };
            let name = template.name_with(&changes);
            let config = template.with(&changes).map_err(located)?;
            let mut recipe = Recipe::new(&name, config, &mut bases).map_err(located)?;
            let earlier = self.results.iter().find(|it| it.key == recipe.key);
            let result = if let Some(result) = earlier {
                result.clone()
            } else {
                recipe.proposed = Some(why).filter(|why| !why.is_empty());
                let is_named = |name: &str| name == recipe.name.as_str();
                if is_named(self.project.config.baseline.value.as_str())
                    || self.results.iter().any(|it| is_named(&it.name))
                {
                    return Err(LoopError::SameName { name: recipe.name });
                }
                look_for_people(self.project.config, file, self.pools, [&recipe])?;
                self.check_entered(std::slice::from_ref(&recipe))?;
                self.recipes.push(recipe.clone());
                self.try_one(&recipe)?;
                self.results[self.results.len() - 1].clone()
            };
            if matches!(result.state, CandidateState::NotTried { .. }) {
                break;
            }
            tried.push(Proposed {
                changes,
                keys: recipe.keys(),
                result,
            });
            next = propose(&tried, &data);
        }
        Ok(())
    }

    fn try_one(&mut self, recipe: &Recipe) -> Result<(), LoopError> {
        let mut result = blank(recipe);
        match self.reason_not_to_try(recipe) {
            Some(Bar::Double(why)) => result.state = CandidateState::NotTried { why },
            Some(Bar::Late(why)) => {
                self.recall(recipe, &mut result, why.clone())?;
                result.state = CandidateState::NotTried { why };
            }
            Some(Bar::Cost(why)) => self.recall(recipe, &mut result, why)?,
            None => {
                let made = self.steps(recipe, &mut result);
                end(&mut result, made)?;
            }
        }
        self.observer
            .tell(&LoopEvent::Concluded { result: &result });
        self.results.push(result);
        Ok(())
    }

    fn reason_not_to_try(&self, recipe: &Recipe) -> Option<Bar> {
        let tried =
            |result: &&CandidateResult| !matches!(result.state, CandidateState::NotTried { .. });
        if let Some(same) = self.results.iter().find(|it| it.key == recipe.key) {
            return Some(Bar::Double(format!("it is the same as {}", same.name)));
        }
        if let Some(entered) = &self.entered
            && !entered.tried.contains(&recipe.key)
        {
            let met = &entered.name;
            return Some(Bar::Late(format!(
                "the people who confirm have met {met}; name others to go on"
            )));
        }
        if self.wanted.stop_on == StopOn::FirstShip
            && let Some(passed) = self.passed()
        {
            return Some(Bar::Cost(format!("{} passed before its turn", passed.name)));
        }
        let budget = &self.wanted.budget.value;
        let n_tried = self.results.iter().filter(tried).count();
        if let Some(most) = budget.candidates
            && n_tried >= most.get() as usize
        {
            let why = format!("`loop.budget.candidates`, {most}, are tried");
            return Some(Bar::Cost(why));
        }
        let left = self.money_left(None).ok().flatten();
        if let (Some(left), Some(limit)) = (left, budget.money)
            && left <= 0.0
        {
            return Some(Bar::Cost(format!("`loop.budget.money`, {limit}, is spent")));
        }
        None
    }

    /// Returns a candidate that passes on the development pool and that nobody else was to confirm.
    fn passed(&self) -> Option<&CandidateResult> {
        self.results.iter().find(|result| {
            let development = result.development.as_ref();
            development.is_some_and(|it| it.verdict == Verdict::Ship)
                && self.earlier.iter().all(|it| it.key != result.key)
        })
    }

    /// Tells whether other people met a candidate before, and did not confirm it.
    fn is_refuted(&self, result: &CandidateResult) -> bool {
        let mut earlier = self.earlier.iter();
        earlier.any(|it| it.key == result.key && it.refutes())
    }

    /// Tells what the store has of a candidate, of which no step is begun, for the reason `why`.
    fn recall(
        &mut self,
        recipe: &Recipe,
        result: &mut CandidateResult,
        why: String,
    ) -> Result<(), LoopError> {
        let making = Making::recall(self.project, self.observer, recipe, why)?;
        let recalled = self.steps_of(making, result);
        end(result, recalled)
    }

    /// Takes a candidate through all steps, as far as it comes.
    fn steps(&mut self, recipe: &Recipe, result: &mut CandidateResult) -> Result<(), Setback> {
        let making = self.making(recipe)?;
        self.steps_of(making, result)
    }

    fn steps_of(
        &mut self,
        mut making: Making<'_>,
        result: &mut CandidateResult,
    ) -> Result<(), Setback> {
        let (to, recipe) = (self.wanted.quantize, making.recipe);
        let trained = making.train()?;
        making.money_left = self.money_left(Some(recipe))?;
        result.training = Some(trained.training.clone());
        result.lineage.adapter = Some(trained.weights.clone());
        let gguf = making.convert(&trained, to)?;
        result.lineage.gguf = Some(gguf.clone());
        if self.wanted.sanity_checks {
            result.sanity = Some(making.check(&trained, &gguf, to)?);
        }
        let judged = making.evaluate(to, self.pools.development);
        *self.money.entry(recipe.key.clone()).or_default() += making.money;
        result.development = Some(judged?);
        Ok(())
    }

    fn making<'b>(&self, recipe: &'b Recipe) -> Result<Making<'b>, LoopError>
    where
        'a: 'b,
    {
        let mut others = 0.0;
        for result in self.results.iter().filter(|it| it.key != recipe.key) {
            others += self.project.store.time_of(&result.key)?.all;
        }
        let left = self.money_left(Some(recipe))?;
        Making::begin(self.project, self.observer, recipe, others, left)
    }

    /// Returns the money that is left, where it is bounded, `but` for what a candidate's calls cost.
    fn money_left(&self, but: Option<&Recipe>) -> Result<Option<f64>, LoopError> {
        let Some(limit) = self.wanted.budget.value.money else {
            return Ok(None);
        };
        let mut spent = 0.0;
        let own = but.map(|recipe| &recipe.key);
        let keys = self.results.iter().map(|result| &result.key).chain(own);
        for key in keys.collect::<BTreeSet<_>>() {
            let at_hub = self
                .recipes
                .iter()
                .find(|it| it.key == *key && it.is_at_hub());
            spent += if let Some(recipe) = at_hub {
                cost_at_hub(self.project, recipe)?
            } else {
                let hours = self.project.store.time_of(key)?.training / 3600.0;
                hours * self.wanted.price_per_hour
            };
            if Some(key) != own {
                spent += self.money.get(key).copied().unwrap_or_default();
            }
        }
        Ok(Some((limit - spent).max(0.0)))
    }

    /// Returns the candidate that the people who confirm are entered for: that stays.
    fn entered_result(&self) -> Option<&CandidateResult> {
        let entered = self.entered.as_ref()?;
        let mut results = self.results.iter();
        results.find(|it| {
            it.key == entered.candidate
                && it.development.is_some()
                && it.state == CandidateState::Evaluated
        })
    }

    /// Lets the best candidate meet the people who confirm, if it may, and says what came of all.
    fn conclude(mut self) -> Result<CandidateTable, LoopError> {
        let refuted = |result: &CandidateResult| self.is_refuted(result);
        let entered = self.entered_result();
        let best = entered.or_else(|| best(&self.results, refuted));
        let key = best.map(|best| best.key.clone());
        let is_barred = |result: &CandidateResult| entered.is_none() && refuted(result);
        let unconfirmed = match may_be_confirmed(best, is_barred) {
            Err(unconfirmed) => Some(unconfirmed),
            Ok(()) => self.confirm(key.as_ref())?,
        };
        let keys: Vec<_> = self.recipes.iter().map(Recipe::keys).collect();
        for (result, differences) in self.results.iter_mut().zip(differences(&keys)) {
            result.differences = differences;
        }
        let recommended = self.results.iter().find(|it| Some(&it.key) == key.as_ref());
        let confirmation_pools = self.project.store.confirmations()?.len();
        let mut table = CandidateTable {
            format: CandidateTable::FORMAT,
            project: self.project.config.project.to_string(),
            baseline: self.project.config.baseline.value.to_string(),
            development: self.pool(self.pools.development),
            confirmation: self.pool(self.pools.confirmation),
            file_type: self.wanted.quantize.name(),
            recommended: recommended.map(|it| it.name.clone()),
            candidates: self.results,
            earlier_confirmations: self.earlier,
            confirmation_pools,
            unconfirmed,
            verdict: None,
        };
        table.verdict = verdict(&table);
        Ok(table)
    }

    fn pool(&self, pool: PoolConfig) -> CandidatePool {
        CandidatePool {
            spec: self.spec.name.clone(),
            seed_start: pool.seed_start,
            count: pool.count.get(),
            repeats: pool.repeats.get(),
        }
    }

    /// Confirms the candidate `key`; returns why it is not confirmed, if it has no verdict.
    fn confirm(&mut self, key: Option<&Digest>) -> Result<Option<Unconfirmed>, LoopError> {
        let index = self.results.iter().position(|it| Some(&it.key) == key);
        let index = index.expect("the best is one of them");
        let recipe = self.recipes[index].clone();
        let tried = (self.results.iter())
            .filter(|it| !matches!(it.state, CandidateState::NotTried { .. }))
            .map(|it| it.key.clone())
            .collect();
        let gguf = self.results[index].lineage.gguf.clone();
        let gguf = gguf.expect("what was evaluated was converted");
        let mut making = self.making(&recipe)?;
        let entered = self.entered.as_ref();
        let (to, pool) = (self.wanted.quantize, self.pools.confirmation);
        let judged = making.confirm(to, pool, &self.spec.digest, gguf, tried, entered);
        match judged {
            Ok(judged) => {
                self.results[index].confirmation = Some(judged);
                Ok(None)
            }
            Err(Setback::OfLoop(error)) => Err(*error),
            Err(Setback::OfCandidate(CandidateState::OutOfBudget { what, .. })) => {
                Ok(Some(Unconfirmed::OutOfBudget { what }))
            }
            Err(Setback::OfCandidate(
                CandidateState::Failed { error, .. } | CandidateState::Diverged { error },
            )) => Ok(Some(Unconfirmed::Failed { error })),
            Err(Setback::OfCandidate(
                CandidateState::Evaluated | CandidateState::NotTried { .. },
            )) => Ok(Some(Unconfirmed::NonePassed)),
        }
    }
}

/// What keeps a candidate from being tried.
enum Bar {
    /// It was tried under another name.
    Double(String),
    /// Another was chosen already: it can no more be chosen.
    Late(String),
    /// It would cost what is not to be spent; what is known of it counts.
    Cost(String),
}

/// Enters how a candidate's steps ended.
fn end(result: &mut CandidateResult, steps: Result<(), Setback>) -> Result<(), LoopError> {
    result.state = match steps {
        Ok(()) => CandidateState::Evaluated,
        Err(Setback::OfCandidate(state)) => state,
        Err(Setback::OfLoop(error)) => return Err(*error),
    };
    Ok(())
}

fn blank(recipe: &Recipe) -> CandidateResult {
    CandidateResult {
        name: recipe.name.to_string(),
        key: recipe.key.clone(),
        differences: BTreeMap::new(),
        proposed: recipe.proposed.clone(),
        state: CandidateState::Evaluated,
        training: None,
        sanity: None,
        development: None,
        confirmation: None,
        lineage: CandidateLineage {
            base: recipe.ingredients.base.clone(),
            dataset: recipe.ingredients.dataset.clone(),
            trainer: recipe.ingredients.trainer.clone(),
            adapter: None,
            gguf: None,
            directory: recipe.directory().display().to_string(),
        },
    }
}
