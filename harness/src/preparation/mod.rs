//! From a configuration to a fixed plan and opened models: everything that can be wrong is found
//! here, before the first token.

mod error;
mod library;
mod models;
mod people;
mod rubric;
mod servers;

use std::path::Path;
use std::sync::Arc;

use shipworthy_personas::simulator::{audit, llm, rule_based};
use shipworthy_personas::{PersonaPool, PersonaSpec};
use shipworthy_rubrics::Rubric;
use shipworthy_schema::yaml::Place;
use shipworthy_schema::{
    DatasetRef, EarlyStopping, MissingRule, Persona, PersonaPlan, Plan, SimulatorAuditRule,
    SimulatorPlan,
};

use crate::accounting::PriceList;
use crate::config::{Budget, Config, Limits, SimulatorConfig};
use crate::early_stopping::Schedule;
use crate::generation::Generation;
use crate::regression::Bar;
use crate::reuse::ReusePolicy;
use crate::shard::Shard;
use crate::telemetry::Tracer;

pub use error::PreparationError;
pub use library::{LibraryError, spec_by_name};
pub use models::Models;
pub use people::leak_text;
pub use people::of_run as personas_of_run;
pub use servers::{Obituary, Servers};

/// Version of the plan's format.
const PLAN_FORMAT: u32 = 1;

/// The primary test, as the plan names it.
const TEST: &str = "paired t-test on persona means, two-sided, adjusted for all candidates by Holm, \
                    and no verdict to ship against the sign-flip test";

/// A fixed plan with all that is needed to carry it out.
pub struct Prepared {
    /// The plan.
    pub plan: Plan,
    /// Who speaks.
    pub personas: Vec<Persona>,
    /// The persona file's text.
    pub personas_text: String,
    /// What counts as good.
    pub rubric: Rubric,
    /// The rubric's YAML.
    pub rubric_text: String,
    /// The models, opened.
    pub models: Models,
    /// What the run may cost; no part of the plan.
    pub limits: Limits,
    /// Which models may answer in other runs; no part of the plan.
    pub reuse: ReusePolicy,
    /// The share of the people that is held; `None`: all of them.
    pub shard: Option<Shard>,
    /// What makes training data of the conversations; `None`: they are an evaluation's.
    pub generation: Option<Generation>,
    /// The shipped model that candidates alone are held against; `None`: the plan has a baseline.
    pub bar: Option<Bar>,
    /// What the run's calls may take; no part of the plan.
    pub budget: Budget,
    /// What tokens cost; no part of the plan.
    pub prices: PriceList,
    /// What makes spans of the run, where somebody wants them; nobody does at first.
    pub tracer: Option<Tracer>,
    /// The servers behind them that were started for this; they stop when it is dropped.
    pub servers: Arc<Servers>,
}

/// What an evaluation reads from files, all checked.
pub struct Inputs {
    pool: PersonaPool,
    training_data: Option<DatasetRef>,
    rubric: Rubric,
    rubric_text: String,
}

impl Inputs {
    /// Reads the inputs that the configuration in `file` names; no model is touched.
    pub fn read(config: &Config, file: &Path) -> Result<Self, PreparationError> {
        let shown = file.display().to_string();
        let directory = directory_of(file);
        let spec = people::spec(config, &shown, directory)?;
        let pool = people::pool(config, &shown, directory, &spec)?;
        let training_data = people::check_training_data(config, &shown, directory, &spec, &pool)?;
        let (rubric, rubric_text) = rubric::read(config, &shown, directory, &spec)?;
        Ok(Self {
            pool,
            training_data,
            rubric,
            rubric_text,
        })
    }

    /// Returns who speaks.
    pub fn personas(&self) -> &[Persona] {
        self.pool.personas()
    }

    /// Returns what counts as good.
    pub fn rubric(&self) -> &Rubric {
        &self.rubric
    }

    /// Tells whether the people were looked for in training data.
    pub fn is_verified(&self) -> bool {
        self.training_data.is_some()
    }

    /// Returns what was read, in one sentence.
    pub fn summary(&self) -> String {
        let Self {
            pool,
            training_data,
            rubric,
            ..
        } = self;
        let (spec, count) = (&pool.spec().name, pool.count());
        let held_out = match training_data {
            Some(data) => format!("absent from {}", data.path),
            None => "not looked for in any training data (set `training_data`)".to_owned(),
        };
        let criteria = rubric.criteria().count();
        format!(
            "{count} people of spec {spec}, {held_out}; rubric {} has {criteria} criteria",
            rubric.name()
        )
    }
}

/// Draws the people of the evaluation that the configuration in `file` describes; no model is touched.
pub(crate) fn held_out(
    config: &Config,
    file: &Path,
) -> Result<(PersonaPool, PersonaSpec), PreparationError> {
    let shown = file.display().to_string();
    let directory = directory_of(file);
    let spec = people::spec(config, &shown, directory)?;
    let pool = people::pool(config, &shown, directory, &spec)?;
    Ok((pool, spec))
}

/// Returns the directory that paths in the configuration `file` are relative to.
pub fn directory_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

/// Prepares the evaluation that the configuration in `file` describes.
///
/// Paths in it are relative to the file's directory, API keys come from `environment`. Errors name
/// the place in the file.
pub async fn prepare(
    config: &Config,
    file: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Prepared, PreparationError> {
    let shown = file.display().to_string();
    config.check_company(&shown)?;
    let early_stopping = early_stopping(config, file)?;
    let Inputs {
        pool,
        training_data,
        rubric,
        rubric_text,
    } = Inputs::read(config, file)?;
    let directory = directory_of(file);
    let servers = Arc::new(Servers::start(config, file, environment, None).await?);
    let surroundings = servers.surroundings(config, directory, environment);
    let opened = models::open_all(config, &shown, &surroundings).await?;
    let simulator = match (&config.simulator.value, opened.simulator) {
        (SimulatorConfig::Llm(entry), Some(model)) => SimulatorPlan::Llm {
            model,
            version: llm::VERSION,
            sampling: (&entry.sampling).into(),
        },
        _ => SimulatorPlan::RuleBased {
            version: rule_based::VERSION,
        },
    };
    let personas = &config.personas;
    let plan = Plan {
        format: PLAN_FORMAT,
        project: config.project.to_string(),
        notice: config.notice.clone(),
        baseline: config.baseline.value.clone(),
        models: opened.under_test,
        system_prompt: config.system_prompt.clone(),
        personas: PersonaPlan {
            spec: pool.spec().clone(),
            seed_start: pool.seed_start(),
            count: pool.count(),
            repeats: personas.repeats.get(),
            max_turns: personas.max_turns.get(),
            pool: pool.digest(),
        },
        simulator,
        simulator_audit: SimulatorAuditRule {
            version: audit::VERSION,
            exclude: config.simulator_audit.exclude.iter().copied().collect(),
        },
        rubric: rubric.rubric_ref(),
        judges: opened.judges,
        judging: config.judging.value,
        sampling: config.sampling.clone(),
        call_timeout_s: config.call_timeout_s.get(),
        gate: config.gate.clone(),
        test: TEST.to_owned(),
        missing: MissingRule::default(),
        early_stopping,
        training_data,
    };
    Ok(Prepared {
        plan,
        personas_text: pool.to_jsonl(),
        personas: pool.personas().to_vec(),
        rubric,
        rubric_text,
        models: opened.models,
        limits: config.limits.clone(),
        reuse: ReusePolicy::of(config),
        shard: None,
        generation: None,
        bar: None,
        budget: config.budget.value,
        prices: PriceList::of(config),
        tracer: None,
        servers,
    })
}

/// Returns the planned looks, if there are levels for them.
fn early_stopping(config: &Config, file: &Path) -> Result<Option<EarlyStopping>, PreparationError> {
    let Some(wanted) = &config.early_stopping else {
        return Ok(None);
    };
    let stopping = EarlyStopping {
        looks: wanted.value.looks.clone(),
        futility: wanted.value.futility,
    };
    match Schedule::new(&stopping, config.gate.alpha) {
        Ok(_) => Ok(Some(stopping)),
        Err(source) => {
            let place = Place::of(&file.display().to_string(), "early_stopping", wanted);
            Err(PreparationError::EarlyStopping { place, source })
        }
    }
}
