use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_saphyr::Spanned;
use shipworthy_schema::yaml::{Place, YamlError};
use shipworthy_schema::{EVALUATION_SEEDS_START, Split};

use super::{Count, default_at_no_place};

/// Held-out people, and how much they talk.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonasConfig {
    /// A library spec's name, or a spec file.
    #[schemars(with = "String")]
    pub spec: Spanned<String>,
    /// A persona file made by `personas generate`; drawn from the spec if left out.
    #[serde(default)]
    #[schemars(with = "Option<PathBuf>")]
    pub file: Option<Spanned<PathBuf>>,
    /// Number of personas, at least 3.
    #[serde(default = "default_count", deserialize_with = "enough")]
    pub count: Count,
    /// First seed, 9000 or above.
    #[serde(default = "default_seed_start")]
    #[schemars(with = "u32")]
    pub seed_start: Spanned<u32>,
    /// Conversations of each persona with each model.
    #[serde(default = "default_repeats")]
    pub repeats: Count,
    /// Most turns of the person in one conversation.
    #[serde(default = "default_max_turns")]
    pub max_turns: Count,
}

/// Fewer pairs than this give no spread worth a test.
const LEAST_PERSONAS: u32 = 3;

fn enough<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
    let count = Count::deserialize(deserializer)?;
    if count.get() < LEAST_PERSONAS {
        let message = format!(
            "a paired test needs at least {LEAST_PERSONAS} personas, got {}",
            count.get()
        );
        return Err(D::Error::custom(message));
    }
    Ok(count)
}

fn default_count() -> Count {
    Count::new(15).expect("15 is above 0")
}

fn default_seed_start() -> Spanned<u32> {
    default_at_no_place(EVALUATION_SEEDS_START)
}

fn default_repeats() -> Count {
    Count::new(3).expect("3 is above 0")
}

fn default_max_turns() -> Count {
    Count::new(6).expect("6 is above 0")
}

impl PersonasConfig {
    /// Refuses seeds that are not evaluation's.
    pub(super) fn check_seeds(&self, file: &str) -> Result<(), YamlError> {
        let (start, count) = (self.seed_start.value, self.count.get());
        let message = match Split::of_seeds(start, count) {
            Ok(Split::Evaluation) => return Ok(()),
            Ok(Split::Training) => format!(
                "seeds {start} to {} are for training; evaluation personas take seeds from \
                 {EVALUATION_SEEDS_START} up",
                u64::from(start) + u64::from(count) - 1
            ),
            Err(error) => error.to_string(),
        };
        Err(Place::of(file, "personas.seed_start", &self.seed_start).error(message))
    }
}
