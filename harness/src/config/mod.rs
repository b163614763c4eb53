//! What a user writes in `shipworthy.yaml`.
//!
//! Every field is checked where it is read, so that an error names file, line, column and field.

mod budget;
mod candidates;
mod count;
mod early_stopping;
mod generate;
mod judge;
mod limits;
mod model_entry;
mod personas;
mod price;
mod quantisation;
mod regression;
mod sampling;
mod serve;
mod ship;
mod simulator;
mod simulator_audit;
mod tracing;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;
use shipworthy_schema::yaml::{self, Place, YamlError};
use shipworthy_schema::{CallRole, Currency, Gate, JudgingRule, ModelName, ProjectName, Sampling};
use thiserror::Error;

pub use budget::Budget;
pub use candidates::{
    CandidatesConfig, GridConfig, LoopBudget, PoolConfig, Pools, ProposalsConfig, StopOn,
};
pub use count::Count;
pub use early_stopping::EarlyStoppingConfig;
pub use generate::{GenerateConfig, TrainingPersonasConfig};
pub use judge::{JudgeConfig, JudgeEntry};
pub use limits::Limits;
pub use model_entry::{EntryError, ModelEntry, Served, Surroundings};
pub use personas::PersonasConfig;
pub use price::Price;
pub use quantisation::Quantisation;
pub use regression::{Margin, RegressionConfig};
pub use sampling::{JudgeSampling, SimulatorSampling};
pub use serve::{ServeConfig, ServeError};
pub use ship::ShipConfig;
pub use simulator::{SimulatorConfig, SimulatorEntry};
pub use simulator_audit::SimulatorAuditConfig;
pub use tracing::TracingConfig;

/// A project: who speaks with which models, and what bar they must clear.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The project's name.
    #[schemars(with = "String")]
    pub project: ProjectName,
    /// Held-out people.
    pub personas: PersonasConfig,
    /// A library rubric's name, or a rubric file.
    #[schemars(with = "String")]
    pub rubric: Spanned<String>,
    /// The model the others are compared with.
    #[schemars(with = "String")]
    pub baseline: Spanned<ModelName>,
    /// All models by name, the baseline among them; where there is a `loop`, it may be the only one.
    #[schemars(with = "BTreeMap<String, ModelEntry>")]
    pub models: BTreeMap<ModelName, Spanned<ModelEntry>>,
    /// Model servers that are started for a run and stopped after it, by name; entries name them
    /// with `server`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, ServeConfig>")]
    pub serve: BTreeMap<ProjectName, Spanned<ServeConfig>>,
    /// What every reader of the report must know, e.g. that the models are toys.
    #[serde(default)]
    pub notice: Option<String>,
    /// System prompt every model gets; none if left out.
    #[serde(default)]
    pub system_prompt: Option<String>,
    /// Who plays the personas.
    #[serde(default = "default_simulator")]
    #[schemars(with = "SimulatorConfig")]
    pub simulator: Spanned<SimulatorConfig>,
    /// What becomes of conversations in which the simulated person went wrong.
    #[serde(default)]
    pub simulator_audit: SimulatorAuditConfig,
    /// Who judges.
    #[serde(default = "default_judge")]
    #[schemars(with = "JudgeConfig")]
    pub judge: Spanned<JudgeConfig>,
    /// How judges are asked, and how their answers become one score.
    #[serde(default = "default_judging")]
    #[schemars(with = "JudgingRule")]
    pub judging: Spanned<JudgingRule>,
    /// How the models under test draw tokens.
    #[serde(default)]
    pub sampling: Sampling,
    /// The bar a candidate must clear.
    #[serde(default)]
    pub gate: Gate,
    /// What `gate` holds candidates to in place of the bar; the bar if left out. No part of the plan.
    #[serde(default)]
    pub regression: Option<RegressionConfig>,
    /// Looks before all personas have spoken; only one at the end if left out.
    #[serde(default)]
    #[schemars(with = "Option<EarlyStoppingConfig>")]
    pub early_stopping: Option<Spanned<EarlyStoppingConfig>>,
    /// JSONL file of training data that the personas must be absent from.
    #[serde(default)]
    #[schemars(with = "Option<PathBuf>")]
    pub training_data: Option<Spanned<PathBuf>>,
    /// How `data generate` makes training data.
    #[serde(default)]
    pub generate: Option<GenerateConfig>,
    /// Seconds one model call may take.
    #[serde(default = "default_call_timeout")]
    pub call_timeout_s: Count,
    /// What a run may cost in repetitions and time.
    #[serde(default)]
    pub limits: Limits,
    /// What prices are in, by its three letters.
    #[serde(default)]
    #[schemars(with = "String")]
    pub currency: Currency,
    /// What the calls of a run may take.
    #[serde(default = "default_budget")]
    #[schemars(with = "Budget")]
    pub budget: Spanned<Budget>,
    /// Where spans of calls go, for those who watch runs with OpenTelemetry.
    #[serde(default)]
    pub tracing: TracingConfig,
    /// Whether the only model is the teacher of `generate`.
    #[serde(skip)]
    is_generation: bool,
    /// What `shipworthy loop` trains, on whom it measures it, and when it ends.
    #[serde(default, rename = "loop")]
    #[schemars(with = "Option<CandidatesConfig>")]
    pub candidates: Option<Spanned<CandidatesConfig>>,
    /// What `shipworthy ship` does where its options do not say otherwise.
    #[serde(default)]
    pub ship: ShipConfig,
}

fn default_simulator() -> Spanned<SimulatorConfig> {
    default_at_no_place(SimulatorConfig::default())
}

fn default_judge() -> Spanned<JudgeConfig> {
    default_at_no_place(JudgeConfig::default())
}

fn default_budget() -> Spanned<Budget> {
    default_at_no_place(Budget::default())
}

fn default_judging() -> Spanned<JudgingRule> {
    default_at_no_place(JudgingRule::default())
}

/// Returns `value` for a field that the file leaves out.
fn default_at_no_place<T>(value: T) -> Spanned<T> {
    let nowhere = serde_saphyr::Location::UNKNOWN;
    Spanned::new(value, nowhere, nowhere)
}

fn default_call_timeout() -> Count {
    Count::new(300).expect("300 is above 0")
}

/// A model entry with its role.
#[derive(Clone, Debug)]
pub struct SpeakerEntry<'a> {
    /// Its role.
    pub role: CallRole,
    /// Its name in that role.
    pub name: ModelName,
    /// The entry.
    pub entry: &'a ModelEntry,
}

/// Says why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("failed to read configuration `{path}`: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a configuration.
    #[error(transparent)]
    Yaml(#[from] YamlError),
}

impl Config {
    /// Reads the configuration in the file `path`.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self::parse(&text, &path.display().to_string())?)
    }

    /// Reads a configuration from `text`; `file` is only used to say where an error is.
    pub fn parse(text: &str, file: &str) -> Result<Self, YamlError> {
        let config: Self = yaml::read(text, file)?;
        config.check_baseline(file)?;
        config.personas.check_seeds(file)?;
        config.check_early_stopping(file)?;
        config.check_servers(file)?;
        config.check_budget(file)?;
        config.check_pairwise(file)?;
        if let Some(generate) = &config.generate {
            generate.check_seeds(file)?;
        }
        config.check_candidates(file)?;
        Ok(config)
    }

    fn check_baseline(&self, file: &str) -> Result<(), YamlError> {
        let baseline = &self.baseline.value;
        let names = self
            .models
            .keys()
            .map(ModelName::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        let message = if !self.models.contains_key(baseline) {
            format!("no model is named `{baseline}`; `models` has {names}")
        } else if self.candidates.is_none() {
            return self.check_company(file);
        } else {
            return Ok(());
        };
        Err(Place::of(file, "baseline", &self.baseline).error(message))
    }

    /// Refuses a baseline without a candidate: where there is a `loop`, only whoever evaluates does.
    pub fn check_company(&self, file: &str) -> Result<(), YamlError> {
        if self.is_generation
            || self.models.len() > 1
            || !self.models.contains_key(&self.baseline.value)
        {
            return Ok(());
        }
        let message = format!(
            "`{}` is the only model; add a candidate under `models`",
            self.baseline.value
        );
        Err(Place::of(file, "baseline", &self.baseline).error(message))
    }

    fn check_early_stopping(&self, file: &str) -> Result<(), YamlError> {
        let Some(stopping) = &self.early_stopping else {
            return Ok(());
        };
        let fault = stopping
            .value
            .fault(self.personas.count.get(), self.models.len());
        fault.map_or(Ok(()), |fault| {
            Err(Place::of(file, "early_stopping", stopping).error(fault))
        })
    }

    fn check_servers(&self, file: &str) -> Result<(), YamlError> {
        let known = |name: &str| self.serve.keys().any(|known| known.as_str() == name);
        let fault = |entry: &ModelEntry| {
            let server = entry.server().filter(|server| !known(server))?;
            let names: Vec<&str> = self.serve.keys().map(ProjectName::as_str).collect();
            Some(match names[..] {
                [] => format!("server `{server}` is not there: `serve` names none"),
                _ => format!(
                    "no server is named `{server}`; `serve` has {}",
                    names.join(", ")
                ),
            })
        };
        for (name, entry) in &self.models {
            if let Some(message) = fault(&entry.value) {
                return Err(Place::of(file, self.model_field(name), entry).error(message));
            }
        }
        if let SimulatorConfig::Llm(entry) = &self.simulator.value
            && let Some(message) = fault(&entry.model)
        {
            return Err(Place::of(file, "simulator", &self.simulator).error(message));
        }
        let mut judges = self.judge.value.entries().iter();
        if let Some(message) = judges.find_map(|judge| fault(&judge.model)) {
            return Err(Place::of(file, "judge", &self.judge).error(message));
        }
        Ok(())
    }

    fn check_budget(&self, file: &str) -> Result<(), YamlError> {
        let speakers = self.speakers();
        let unpriced = speakers.iter().find(|s| s.entry.price().is_none());
        let (Some(_), Some(unpriced)) = (self.budget.value.money, unpriced) else {
            return Ok(());
        };
        Err(Place::of(file, "budget", &self.budget).error(self.no_price(unpriced)))
    }

    /// Says that money cannot be watched while an entry has no price.
    fn no_price(&self, unpriced: &SpeakerEntry<'_>) -> String {
        let place = match unpriced.role {
            CallRole::Model => self.model_field(&unpriced.name),
            CallRole::Simulator => "simulator".to_owned(),
            CallRole::Judge => format!("judge `{}`", unpriced.name),
        };
        format!(
            "`money` can be watched only where every model at a `url` has a price; give {place} a \
             `price: {{prompt: …, completion: …}}`, of 0 if it costs nothing"
        )
    }

    /// Leaves candidates alone to be evaluated: no baseline, and nothing that needs one.
    pub fn without_baseline(&mut self) {
        self.models.remove(&self.baseline.value);
        self.judging.value.pairwise = false;
        self.early_stopping = None;
    }

    /// Returns every entry with its role and name: models under test, simulator, judges.
    pub fn speakers(&self) -> Vec<SpeakerEntry<'_>> {
        let models = self.models.iter().map(|(name, entry)| SpeakerEntry {
            role: CallRole::Model,
            name: name.clone(),
            entry: &entry.value,
        });
        let simulator = match &self.simulator.value {
            SimulatorConfig::RuleBased => None,
            SimulatorConfig::Llm(entry) => Some(SpeakerEntry {
                role: CallRole::Simulator,
                name: SimulatorConfig::name(),
                entry: &entry.model,
            }),
        };
        let judges = self.judge.value.entries().iter();
        let judges = judges.map(|judge| SpeakerEntry {
            role: CallRole::Judge,
            name: judge.name.clone(),
            entry: &judge.model,
        });
        models.chain(simulator).chain(judges).collect()
    }

    fn check_pairwise(&self, file: &str) -> Result<(), YamlError> {
        let judging = &self.judging;
        if !judging.value.pairwise || !self.judge.value.entries().is_empty() {
            return Ok(());
        }
        let message = "`pairwise` has judges compare conversations, and there is none: name one under \
                       `judge`";
        Err(Place::of(file, "judging", judging).error(message))
    }

    /// Returns every entry, with whether it is a model under test.
    pub fn entries(&self) -> Vec<(&ModelEntry, bool)> {
        let mut entries: Vec<(&ModelEntry, bool)> = self
            .models
            .values()
            .map(|entry| (&entry.value, true))
            .collect();
        if let SimulatorConfig::Llm(entry) = &self.simulator.value {
            entries.push((&entry.model, false));
        }
        let judges = self.judge.value.entries().iter();
        entries.extend(judges.map(|judge| (&judge.model, false)));
        entries
    }

    /// Returns the JSON schema of the configuration, for editors.
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use shipworthy_schema::JudgingRule;

    use super::{Config, JudgeConfig, SimulatorConfig};

    const GOOD: &str = "\
project: coaching
personas: {spec: coaching, count: 15, seed_start: 9000, repeats: 3, max_turns: 6}
rubric: coaching
baseline: base
models:
  base:  {gguf: models/base-q8_0.gguf}
  tuned: {url: \"http://127.0.0.1:8081/v1\", model: tuned, api_key_env: TUNED_API_KEY}
simulator: rule-based
judge: none
sampling: {temperature: 0.7, top_p: 0.95, max_tokens: 256, seed: 7}
gate: {min_gain: 0.10, alpha: 0.05, suspicious_gain: 0.30}
training_data: data/train.jsonl
";

    #[test]
    fn the_documented_example_is_read() {
        let config = Config::parse(GOOD, "shipworthy.yaml").unwrap();
        assert_eq!(config.personas.count.get(), 15);
        assert!(matches!(config.simulator.value, SimulatorConfig::RuleBased));
        assert!(matches!(config.judge.value, JudgeConfig::None));
        assert_eq!(config.judging.value, JudgingRule::default());
    }

    #[test_case("rubric: coaching", "rubrik: coaching"
        => "c.yaml:3:1: field `rubrik`: unknown field `rubrik`, expected one of project, personas, \
            rubric, baseline, models, serve, notice, system_prompt, simulator, simulator_audit, judge, \
             judging, sampling, gate, regression, early_stopping, training_data, generate, call_timeout_s, \
             limits, currency, budget, tracing, loop, ship"; "unknown key")]
    #[test_case("seed_start: 9000", "seed_start: 4000"
        => "c.yaml:2:51: field `personas.seed_start`: seeds 4000 to 4014 are for training; \
            evaluation personas take seeds from 9000 up"; "training seeds")]
    #[test_case("count: 15", "count: 0"
        => "c.yaml:2:35: field `personas.count`: must be at least 1"; "empty personas")]
    #[test_case("baseline: base", "baseline: bsae"
        => "c.yaml:4:11: field `baseline`: no model is named `bsae`; `models` has base, tuned";
        "unknown baseline")]
    #[test_case("{gguf: models/base-q8_0.gguf}", "{gguf: a.gguf, url: \"http://x\"}"
        => "c.yaml:6:10: field `models.base`: give one of `gguf`, `url`, `server` and \
            `scripted`";
        "two places")]
    #[test_case("judge: none", "judge: nobody"
        => "c.yaml:9:8: field `judge`: `nobody` is not a judge: write `none`, a model such as \
            `{url: …, model: …}`, or a list of models"; "unknown judge")]
    #[test_case("judge: none", "judge: [{url: \"http://a\"}, {url: \"http://b\"}]"
        => "c.yaml:9:8: field `judge`: two judges are named `judge`; give each a `name` of its own";
        "judges without names")]
    #[test_case("judge: none", "judge: []"
        => "c.yaml:9:8: field `judge`: the list of judges is empty; write `none`"; "no judges")]
    #[test_case("judge: none", "judge: none\njudging: {aggregate: {met: mode}}"
        => "c.yaml:10:28: field `judging.aggregate.met`: unknown variant `mode`, expected one of \
            mean, median, majority"; "unknown aggregation")]
    #[test_case("judge: none", "judge: none\njudging: {pairwise: true}"
        => "c.yaml:10:10: field `judging`: `pairwise` has judges compare conversations, and there is \
            none: name one under `judge`"; "pairs without a judge")]
    #[test_case("temperature: 0.7", "temperature: -1"
        => "c.yaml:10:25: field `sampling.temperature`: must be between 0 and 2, got -1";
        "temperature")]
    #[test_case("alpha: 0.05", "alpha: 1.5"
        => "c.yaml:11:31: field `gate.alpha`: must be above 0 and below 1, got 1.5"; "alpha")]
    fn mistakes_are_located(from: &str, to: &str) -> String {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD);
        Config::parse(&text, "c.yaml").unwrap_err().to_string()
    }
}
