use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;
use shipworthy_schema::yaml::{Place, YamlError};
use shipworthy_schema::{ModelName, Split, range};

use super::quantisation::Quantisation;
use super::{Config, Count, default_at_no_place};

/// What `shipworthy loop` trains, on whom it measures it, and when it ends.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CandidatesConfig {
    /// Files as `shipworthy train` takes them, each a candidate; where their `output_dir` is does not
    /// matter, the loop has directories of its own.
    #[serde(default)]
    #[schemars(with = "Vec<PathBuf>")]
    pub candidates: Vec<Spanned<PathBuf>>,
    /// One such file with every combination of values for some of its keys; they come after
    /// `candidates`.
    #[serde(default)]
    #[schemars(with = "Option<GridConfig>")]
    pub grid: Option<Spanned<GridConfig>>,
    /// One such file, changed by rules after what the last candidate came to; they come last.
    #[serde(default)]
    #[schemars(with = "Option<ProposalsConfig>")]
    pub proposals: Option<Spanned<ProposalsConfig>>,
    /// The people that candidates are compared on; those of `personas` if left out.
    #[serde(default)]
    #[schemars(with = "Option<PoolConfig>")]
    pub development: Option<Spanned<PoolConfig>>,
    /// People nobody has met: the best candidate alone meets them, once. As many as those of
    /// `development`, from the seed after their last one, if left out.
    #[serde(default)]
    #[schemars(with = "Option<PoolConfig>")]
    pub confirmation: Option<Spanned<PoolConfig>>,
    /// What the weights of a candidate's GGUF file are stored as; the file that is evaluated is the one
    /// that ships.
    #[serde(default)]
    pub quantize: Quantisation,
    /// Whether a candidate is checked before anybody talks with it, as `shipworthy check` does; one that
    /// fails is not evaluated.
    #[serde(default = "yes")]
    pub sanity_checks: bool,
    /// Task files that the checks ask base and candidate.
    #[serde(default)]
    #[schemars(with = "Vec<PathBuf>")]
    pub tasks: Vec<Spanned<PathBuf>>,
    /// What it may take.
    #[serde(default = "default_budget")]
    #[schemars(with = "LoopBudget")]
    pub budget: Spanned<LoopBudget>,
    /// What an hour of training costs, in the project's currency; nothing if left out.
    #[serde(default, deserialize_with = "range::at_least_zero")]
    pub price_per_hour: f64,
    /// What ends it before all candidates were tried.
    #[serde(default)]
    pub stop_on: StopOn,
}

/// Every combination of values for some keys of a file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GridConfig {
    /// The file whose other keys stay.
    pub base: PathBuf,
    /// Values by key; the last key changes fastest.
    pub keys: BTreeMap<String, Vec<Value>>,
}

/// Changes by rules, one after another.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposalsConfig {
    /// The file to begin with.
    pub base: PathBuf,
    /// The most candidates proposed, the file itself among them.
    pub most: Count,
    /// Further training data, each file with more than the one before.
    #[serde(default)]
    pub data: Vec<PathBuf>,
}

/// People by their seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolConfig {
    /// First seed, 9000 or above.
    pub seed_start: u32,
    /// Number of people, at least 3.
    pub count: Count,
    /// Conversations of each with each model.
    pub repeats: Count,
}

/// What a loop may take over all its processes; no part of any plan, so a later call may have another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoopBudget {
    /// Candidates tried.
    pub candidates: Option<NonZeroU32>,
    /// Hours of all candidates together, training and evaluation.
    #[serde(deserialize_with = "range::positive_or_none")]
    pub hours: Option<f64>,
    /// Hours of one candidate.
    #[serde(deserialize_with = "range::positive_or_none")]
    pub hours_per_candidate: Option<f64>,
    /// Money for the calls of all evaluations and for training, in the project's currency; every model
    /// at a `url` then needs a `price`.
    #[serde(deserialize_with = "range::positive_or_none")]
    pub money: Option<f64>,
}

/// What ends a loop before all candidates were tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopOn {
    /// A candidate that passes on the development pool: it is the one to be confirmed.
    #[default]
    FirstShip,
    /// Nothing: the best of all is.
    Never,
}

fn yes() -> bool {
    true
}

fn default_budget() -> Spanned<LoopBudget> {
    default_at_no_place(LoopBudget::default())
}

impl PoolConfig {
    /// Returns the seed after the last one, if there is one.
    fn end(self) -> Option<u32> {
        self.seed_start.checked_add(self.count.get())
    }

    fn fault(self) -> Option<String> {
        if self.count.get() < 3 {
            return Some(format!(
                "a paired test needs at least 3 people, got {}",
                self.count.get()
            ));
        }
        match Split::of_seeds(self.seed_start, self.count.get()) {
            Ok(Split::Evaluation) => None,
            Ok(Split::Training) => Some(format!(
                "seeds {} and following are for training; evaluation takes seeds from {} up",
                self.seed_start,
                shipworthy_schema::EVALUATION_SEEDS_START
            )),
            Err(error) => Some(error.to_string()),
        }
    }
}

/// The two pools of a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pools {
    /// The people that candidates are compared on.
    pub development: PoolConfig,
    /// The people that the best of them meets.
    pub confirmation: PoolConfig,
}

impl Config {
    /// Returns the pools of the loop, if there is a loop.
    pub fn pools(&self) -> Option<Pools> {
        let wanted = &self.candidates.as_ref()?.value;
        let development = wanted.development.as_ref().map_or(
            PoolConfig {
                seed_start: self.personas.seed_start.value,
                count: self.personas.count,
                repeats: self.personas.repeats,
            },
            |pool| pool.value,
        );
        let confirmation = wanted.confirmation.as_ref().map_or_else(
            || PoolConfig {
                // Where there is no such seed, the check of the pool says so.
                seed_start: development.end().unwrap_or(u32::MAX),
                ..development
            },
            |pool| pool.value,
        );
        Some(Pools {
            development,
            confirmation,
        })
    }

    /// Returns the configuration of the evaluation of one candidate on `pool`.
    ///
    /// Looks before all have spoken and persona files are `eval`'s alone.
    #[must_use]
    pub fn on_pool(&self, pool: PoolConfig) -> Self {
        let mut config = self.clone();
        config.personas.file = None;
        config.personas.seed_start = default_at_no_place(pool.seed_start);
        config.personas.count = pool.count;
        config.personas.repeats = pool.repeats;
        config.early_stopping = None;
        config
    }

    /// Returns the configuration of the evaluation of a candidate alone against the baseline, on `pool`.
    ///
    /// `gguf` and `dataset`, what it was trained on, are relative to the configuration's directory.
    #[must_use]
    pub fn of_candidate(
        &self,
        pool: PoolConfig,
        name: &ModelName,
        gguf: &Path,
        dataset: PathBuf,
    ) -> Self {
        let mut config = self.on_pool(pool);
        config.training_data = Some(default_at_no_place(dataset));
        config.models.retain(|name, _| *name == self.baseline.value);
        let baseline = &self.models[&self.baseline.value].value;
        let entry = baseline.with_gguf(gguf.display().to_string());
        config
            .models
            .insert(name.clone(), default_at_no_place(entry));
        config
    }

    pub(super) fn check_candidates(&self, file: &str) -> Result<(), YamlError> {
        let (Some(written), Some(pools)) = (&self.candidates, self.pools()) else {
            return Ok(());
        };
        let wanted = &written.value;
        let at_loop = |message: String| Err(Place::of(file, "loop", written).error(message));
        if wanted.candidates.is_empty() && wanted.grid.is_none() && wanted.proposals.is_none() {
            return at_loop(
                "there is nothing to train; give `candidates`, a `grid` or `proposals`".to_owned(),
            );
        }
        let located = |name: &str, pool: &Option<Spanned<PoolConfig>>, message: String| {
            let field = format!("loop.{name}");
            Err(match pool {
                Some(pool) => Place::of(file, field, pool),
                None => Place::of(file, field, written),
            }
            .error(message))
        };
        for (name, written, pool) in [
            ("development", &wanted.development, pools.development),
            ("confirmation", &wanted.confirmation, pools.confirmation),
        ] {
            if let Some(fault) = pool.fault() {
                return located(name, written, fault);
            }
        }
        let (one, other) = (pools.development, pools.confirmation);
        let (one_end, other_end) = (one.end(), other.end());
        if one_end.is_none_or(|end| other.seed_start < end)
            && other_end.is_none_or(|end| one.seed_start < end)
        {
            let message = format!(
                "some of these people are met in development (seeds {} and {} following); the people \
                 that confirm must be new",
                one.seed_start,
                one.count.get() - 1
            );
            return located("confirmation", &wanted.confirmation, message);
        }
        if let Some(grid) = &wanted.grid
            && let Some(message) = grid.value.fault()
        {
            return Err(Place::of(file, "loop.grid", grid).error(message));
        }
        let speakers = self.speakers();
        let is_unpriced = |s: &&super::SpeakerEntry<'_>| s.entry.price().is_none();
        if let (Some(_), Some(speaker)) =
            (wanted.budget.value.money, speakers.iter().find(is_unpriced))
        {
            let place = Place::of(file, "loop.budget", &wanted.budget);
            return Err(place.error(self.no_price(speaker)));
        }
        Ok(())
    }
}

/// Most combinations of a grid.
const MOST_COMBINATIONS: usize = 1000;

impl GridConfig {
    fn fault(&self) -> Option<String> {
        if self.keys.is_empty() {
            return Some("`keys` names no key; list values by key".to_owned());
        }
        if let Some((key, _)) = self.keys.iter().find(|(_, values)| values.is_empty()) {
            return Some(format!("`{key}` has no value; list at least one"));
        }
        for (key, values) in &self.keys {
            let is_double = |(index, value): &(usize, &Value)| values[..*index].contains(value);
            if let Some((_, twice)) = values.iter().enumerate().find(is_double) {
                return Some(format!(
                    "`{key}` lists {twice} twice; list every value once"
                ));
            }
        }
        let sizes = self.keys.values().map(Vec::len);
        let combinations = sizes.fold(1_usize, usize::saturating_mul);
        (combinations > MOST_COMBINATIONS).then(|| {
            format!("these are {combinations} combinations; at most {MOST_COMBINATIONS} are tried")
        })
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use crate::config::{Config, StopOn};

    const GOOD: &str = "\
project: coaching
personas: {spec: coaching, count: 5, repeats: 2}
rubric: coaching
baseline: base
models:
  base: {gguf: base.gguf}
loop:
  candidates: [a.yaml]
  grid: {base: a.yaml, keys: {lora_r: [8, 16]}}
  confirmation: {seed_start: 9500, count: 15, repeats: 3}
  budget: {candidates: 3, hours: 1.5}
";

    #[test]
    fn a_loop_needs_no_candidate_among_the_models() {
        let config = Config::parse(GOOD, "c.yaml").unwrap();
        let pools = config.pools().unwrap();
        assert_eq!(pools.development.seed_start, 9000);
        assert_eq!(pools.development.count.get(), 5);
        assert_eq!(pools.confirmation.count.get(), 15);
        let wanted = &config.candidates.as_ref().unwrap().value;
        assert_eq!(wanted.stop_on, StopOn::FirstShip);
        assert_eq!(wanted.quantize.file_type().name(), "Q8_0");
        let without = GOOD.replace(
            "  confirmation: {seed_start: 9500, count: 15, repeats: 3}\n",
            "",
        );
        let pools = Config::parse(&without, "c.yaml").unwrap().pools().unwrap();
        assert_eq!(pools.confirmation.seed_start, 9005);
    }

    #[test_case("seed_start: 9500", "seed_start: 9004"
        => "c.yaml:10:17: field `loop.confirmation`: some of these people are met in development (seeds \
            9000 and 4 following); the people that confirm must be new"; "people met before")]
    #[test_case("seed_start: 9500", "seed_start: 4000"
        => "c.yaml:10:17: field `loop.confirmation`: seeds 4000 and following are for training; \
            evaluation takes seeds from 9000 up"; "training seeds")]
    #[test_case("count: 15, repeats: 3", "count: 2, repeats: 3"
        => "c.yaml:10:17: field `loop.confirmation`: a paired test needs at least 3 people, got 2"; "too few")]
    #[test_case("{lora_r: [8, 16]}", "{}"
        => "c.yaml:9:9: field `loop.grid`: `keys` names no key; list values by key"; "empty grid")]
    #[test_case("[8, 16]", "[8, 16, 8]"
        => "c.yaml:9:9: field `loop.grid`: `lora_r` lists 8 twice; list every value once"; "a value twice")]
    #[test_case("hours: 1.5", "hours: 0"
        => "c.yaml:11:34: field `loop.budget.hours`: must be above 0, got 0"; "no time")]
    #[test_case("  budget:", "  quantize: q3\n  budget:"
        => "c.yaml:11:13: field `loop.quantize`: `q3` is no type; write one of f32, f16, bf16, q8_0, \
            q4_k_m, q5_k_m, q6_k"; "unknown type")]
    #[test_case("  budget:", "  budjet:"
        => "c.yaml:11:3: field `loop.budjet`: unknown field `budjet`, expected one of candidates, grid, \
            proposals, development, confirmation, quantize, sanity_checks, tasks, budget, price_per_hour, \
            stop_on"; "unknown key")]
    fn mistakes_are_located(from: &str, to: &str) -> String {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD);
        Config::parse(&text, "c.yaml").unwrap_err().to_string()
    }
}
