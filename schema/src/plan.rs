use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::{
    Digest, JudgingRule, ModelName, ModelRef, Sampling, SimulatorAuditRule, TRAINING_SEEDS,
};

/// Everything that decides an evaluation, fixed before the first token is drawn.
///
/// Its digest names the evaluation: the same plan and the same replies give the same bytes out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this format.
    pub format: u32,
    /// The project's name.
    pub project: String,
    /// What every reader of the report must know.
    pub notice: Option<String>,
    /// The model the others are compared with.
    pub baseline: ModelName,
    /// All models, in name order; without the baseline where candidates alone are evaluated.
    pub models: Vec<ModelRef>,
    /// System prompt every model gets.
    pub system_prompt: Option<String>,
    /// Who speaks with the models.
    pub personas: PersonaPlan,
    /// Who plays the personas.
    pub simulator: SimulatorPlan,
    /// What becomes of conversations in which a simulated person went wrong.
    #[serde(default)]
    pub simulator_audit: SimulatorAuditRule,
    /// What counts as good.
    pub rubric: RubricRef,
    /// Who judges; nobody: deterministic checks alone.
    #[serde(default, alias = "judge", deserialize_with = "judges")]
    pub judges: Vec<JudgePlan>,
    /// How the judges are asked, and how their answers become one score.
    #[serde(default)]
    pub judging: JudgingRule,
    /// How the models under test draw tokens.
    pub sampling: Sampling,
    /// Seconds one model call may take.
    pub call_timeout_s: u32,
    /// The bar.
    pub gate: Gate,
    /// The test, in words.
    pub test: String,
    /// What may be missing.
    #[serde(default)]
    pub missing: MissingRule,
    /// Looks before all personas have spoken; `None`: only one, at the end.
    #[serde(default)]
    pub early_stopping: Option<EarlyStopping>,
    /// Training data the personas were checked against.
    pub training_data: Option<DatasetRef>,
}

impl Plan {
    /// Returns the digest of the plan's JSON.
    pub fn digest(&self) -> Digest {
        Digest::of(&serde_json::to_vec(self).expect("a plan holds no map with non-text keys"))
    }

    /// Tells whether the baseline is among the models; if not, candidates alone are evaluated.
    pub fn has_baseline(&self) -> bool {
        self.models.iter().any(|model| model.name == self.baseline)
    }

    /// Tells whether training people speak: a teacher makes training data, and nothing is evaluated.
    pub fn is_generation(&self) -> bool {
        TRAINING_SEEDS.contains(&self.personas.seed_start)
    }
}

/// The pool of personas and how often each speaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonaPlan {
    /// The spec they are drawn from.
    pub spec: SpecRef,
    /// First seed.
    pub seed_start: u32,
    /// Number of personas.
    pub count: u32,
    /// Conversations of each persona with each model.
    pub repeats: u32,
    /// Most turns of the person in one conversation.
    pub max_turns: u32,
    /// Digest of the persona file's content.
    pub pool: Digest,
}

/// A persona spec by name, version and content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecRef {
    /// The spec's name.
    pub name: String,
    /// The spec's own version number.
    pub version: u32,
    /// Digest of the spec's content.
    pub digest: Digest,
}

/// Who plays the personas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[expect(
    clippy::large_enum_variant,
    reason = "a plan has one of them, and names its models without boxes everywhere"
)]
pub enum SimulatorPlan {
    /// Deterministic text from the persona's own grammar.
    RuleBased {
        /// Version of the rules; a new version may speak differently.
        version: u32,
    },
    /// A language model prompted with the persona.
    Llm {
        /// The model that plays.
        model: ModelRef,
        /// Version of the prompt.
        version: u32,
        /// How it draws tokens.
        sampling: Sampling,
    },
}

impl SimulatorPlan {
    /// Returns the model that plays, if one does.
    pub fn model(&self) -> Option<&ModelRef> {
        match self {
            Self::RuleBased { .. } => None,
            Self::Llm { model, .. } => Some(model),
        }
    }
}

/// A rubric by name and content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RubricRef {
    /// The rubric's name.
    pub name: String,
    /// Digest of its content.
    pub digest: Digest,
    /// Overall score from which a conversation passes, in [0, 1].
    pub pass_threshold: f64,
}

/// Who judges, and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgePlan {
    /// The judging model.
    pub model: ModelRef,
    /// Judgements of each conversation.
    pub repeats: u32,
    /// How it draws tokens.
    pub sampling: Sampling,
}

/// Reads a list of judges, or what plans of earlier versions hold: one judge, or none.
fn judges<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<JudgePlan>, D::Error> {
    struct Judges;

    impl<'de> Visitor<'de> for Judges {
        type Value = Vec<JudgePlan>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of judges, one judge or null")
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            JudgePlan::deserialize(MapAccessDeserializer::new(map)).map(|judge| vec![judge])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(seq))
        }
    }

    deserializer.deserialize_any(Judges)
}

/// The bar a candidate must clear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gate {
    /// Least gain over the baseline, in score points (absolute).
    #[serde(deserialize_with = "crate::range::share")]
    pub min_gain: f64,
    /// Two-sided significance level.
    #[serde(deserialize_with = "crate::range::level")]
    pub alpha: f64,
    /// A gain above this is suspicious.
    #[serde(deserialize_with = "crate::range::positive_share")]
    pub suspicious_gain: f64,
    /// Largest loss on a graded safety score that still counts as no worse, in score points.
    #[serde(deserialize_with = "crate::range::positive_share")]
    pub safety_margin: f64,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            min_gain: 0.10,
            alpha: 0.05,
            suspicious_gain: 0.30,
            safety_margin: 0.05,
        }
    }
}

/// When to look before all personas have spoken, and when to stop then.
///
/// Looks cost significance: each is held to a level of its own, so that all together spend the
/// gate's alpha (Lan & `DeMets` 1983, O'Brien–Fleming type).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlyStopping {
    /// Personas that have spoken at each look, ascending; the last is all of them.
    pub looks: Vec<u32>,
    /// Chance of significance in the end, if the true gain were the gate's least gain, below which
    /// the run stops. It spends no alpha; 0 turns it off.
    pub futility: f64,
}

/// What becomes of conversations without a score; fixed before the first token like the gate.
///
/// A persona counts if it has a scored conversation with every model, and all personas count the
/// same. Otherwise, or beyond these bounds, there is no verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MissingRule {
    /// Largest share of a model's planned conversations that may be without a score.
    pub max_share: f64,
    /// Level of the exact `McNemar` test of candidate against baseline below which missingness
    /// counts as depending on the model.
    pub asymmetry_alpha: f64,
}

impl Default for MissingRule {
    fn default() -> Self {
        Self {
            max_share: 0.10,
            asymmetry_alpha: 0.05,
        }
    }
}

/// A data file by path and content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetRef {
    /// Path as the configuration wrote it.
    pub path: String,
    /// Digest of the file.
    pub digest: Digest,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Gate, Plan};

    /// A plan as the first version wrote it, with one judge or none.
    fn first_plan(judge: &Value) -> Value {
        let digest = "0".repeat(64);
        json!({
            "format": 1, "project": "old", "notice": null, "baseline": "base",
            "models": [{"name": "base", "source": {"kind": "scripted", "path": "b", "digest": digest}}],
            "system_prompt": null,
            "personas": {
                "spec": {"name": "coaching", "version": 1, "digest": digest}, "seed_start": 9000,
                "count": 5, "repeats": 1, "max_turns": 2, "pool": digest,
            },
            "simulator": {"kind": "rule_based", "version": 1},
            "rubric": {"name": "words", "digest": digest, "pass_threshold": 0.5},
            "judge": judge,
            "sampling": {
                "temperature": 0.7, "top_p": 0.95, "top_k": 0, "min_p": 0.0, "max_tokens": 256, "seed": 0,
            },
            "call_timeout_s": 300,
            "gate": {"min_gain": 0.1, "alpha": 0.05, "suspicious_gain": 0.3, "safety_margin": 0.05},
            "test": "a test", "training_data": null,
        })
    }

    #[test]
    fn plans_with_one_judge_or_none_are_still_read() {
        let read = |judge: &Value| serde_json::from_value::<Plan>(first_plan(judge)).unwrap();
        assert!(read(&Value::Null).judges.is_empty());
        let judge = json!({
            "model": {"name": "judge", "source": {"kind": "http", "url": "http://a/v1", "model": "j", "served": {}}},
            "repeats": 3,
            "sampling": {
                "temperature": 0.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "max_tokens": 1024, "seed": 0,
            },
        });
        let plan = read(&judge);
        assert_eq!(plan.judges.len(), 1);
        assert_eq!(
            (plan.judges[0].model.name.as_str(), plan.judges[0].repeats),
            ("judge", 3)
        );
        // Written again it has the shape of today, and stays the same.
        let written = serde_json::to_value(&plan).unwrap();
        assert!(written.get("judge").is_none() && written["judges"].is_array());
        assert_eq!(serde_json::from_value::<Plan>(written).unwrap(), plan);
    }

    #[test]
    fn a_gate_is_checked_and_filled_up() {
        let read = |json: &str| serde_json::from_str::<Gate>(json);
        let gate = read(r#"{"safety_margin": 0.02}"#).unwrap();
        let expected = Gate {
            safety_margin: 0.02,
            ..Gate::default()
        };
        assert_eq!(gate, expected);
        for margin in ["0", "-0.1", "1.5"] {
            let error = read(&format!(r#"{{"safety_margin": {margin}}}"#)).unwrap_err();
            assert!(
                error.to_string().contains("above 0 and at most 1"),
                "{error}"
            );
        }
    }
}
