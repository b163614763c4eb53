use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;
use shipworthy_schema::yaml::{Place, YamlError};
use shipworthy_schema::{
    EVALUATION_SEEDS_START, ModelName, Sampling, Split, TRAINING_SEEDS, range,
};

use super::{Config, Count, ModelEntry, default_at_no_place};

/// The teacher's name in plans, rows and reports.
const TEACHER: &str = "teacher";

/// Training data that a teacher makes: training people talk with it, and the rubric filters.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerateConfig {
    /// The model that answers, written as under `models`.
    #[schemars(with = "ModelEntry")]
    pub teacher: Spanned<ModelEntry>,
    /// Training people, and how often each talks.
    #[serde(default)]
    pub personas: TrainingPersonasConfig,
    /// System prompt that the teacher gets; the project's if left out. Rows have the project's.
    #[serde(default)]
    pub system_prompt: Option<String>,
    /// How the teacher draws tokens; as the models under test if left out.
    #[serde(default)]
    pub sampling: Option<Sampling>,
    /// Least overall score of a conversation that is kept; the rubric's pass threshold if left out.
    #[serde(default, deserialize_with = "share")]
    pub min_score: Option<f64>,
    /// Conversations kept that are enough: no more people talk then. All talk if left out.
    #[serde(default)]
    pub wanted: Option<Count>,
    /// Share of the rows that go to a validation file, person by person, below 1; none if left out.
    #[serde(default, deserialize_with = "below_one")]
    pub validation: f64,
    /// The file to write.
    #[serde(default = "default_out")]
    pub out: PathBuf,
}

/// Training people, and how often each talks.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingPersonasConfig {
    /// First seed, 0 to 4999.
    #[schemars(with = "u32")]
    pub seed_start: Spanned<u32>,
    /// Number of people.
    pub count: Count,
    /// Conversations of each.
    pub repeats: Count,
}

impl Default for TrainingPersonasConfig {
    fn default() -> Self {
        Self {
            seed_start: default_at_no_place(*TRAINING_SEEDS.start()),
            count: Count::new(200).expect("200 is above 0"),
            repeats: Count::new(1).expect("1 is above 0"),
        }
    }
}

fn default_out() -> PathBuf {
    PathBuf::from("training_data.jsonl")
}

fn share<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    range::share(deserializer).map(Some)
}

fn below_one<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(deserializer)?;
    if (0.0..1.0).contains(&share) {
        return Ok(share);
    }
    let message = format!("must be at least 0 and below 1, got {share}");
    Err(serde::de::Error::custom(message))
}

impl GenerateConfig {
    /// Refuses seeds that are not training's.
    pub(super) fn check_seeds(&self, file: &str) -> Result<(), YamlError> {
        let wanted = &self.personas;
        let (start, count) = (wanted.seed_start.value, wanted.count.get());
        let message = match Split::of_seeds(start, count) {
            Ok(Split::Training) => return Ok(()),
            Ok(Split::Evaluation) => format!(
                "seeds {start} to {} are for evaluation ({EVALUATION_SEEDS_START} and up), and who is \
                 trained on cannot be held out; training people take seeds {} to {}",
                u64::from(start) + u64::from(count) - 1,
                TRAINING_SEEDS.start(),
                TRAINING_SEEDS.end(),
            ),
            Err(error) => error.to_string(),
        };
        let place = Place::of(file, "generate.personas.seed_start", &wanted.seed_start);
        Err(place.error(message))
    }
}

impl Config {
    /// Makes the project's configuration that of a run in which the teacher of `generate` is the only
    /// model, and training people talk.
    ///
    /// What concerns candidates and evaluation people goes. Errors if the teacher is at a server that
    /// `serve` does not name, or money is to be watched and it has no price.
    pub fn into_generation(
        mut self,
        generate: &GenerateConfig,
        file: &str,
    ) -> Result<Self, YamlError> {
        let teacher = ModelName::new(TEACHER).expect("a word is a name");
        self.is_generation = true;
        self.generate = None;
        self.candidates = None;
        self.baseline = default_at_no_place(teacher.clone());
        self.models = [(teacher, generate.teacher.clone())].into();
        self.personas.file = None;
        self.personas.seed_start = generate.personas.seed_start.clone();
        self.personas.count = generate.personas.count;
        self.personas.repeats = generate.personas.repeats;
        if generate.system_prompt.is_some() {
            self.system_prompt.clone_from(&generate.system_prompt);
        }
        if let Some(sampling) = &generate.sampling {
            self.sampling = sampling.clone();
        }
        self.judging.value.pairwise = false;
        self.regression = None;
        self.early_stopping = None;
        self.training_data = None;
        self.check_servers(file)?;
        self.check_budget(file)?;
        Ok(self)
    }

    /// Returns the field that names a model under test.
    pub(crate) fn model_field(&self, name: &ModelName) -> String {
        if self.is_generation {
            format!("generate.{name}")
        } else {
            format!("models.{name}")
        }
    }
}
