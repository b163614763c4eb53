//! The committed record of a shipped model: what it scored, under which conditions.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use shipworthy_schema::{
    ConversationId, ConversationScore, CriterionScore, Digest, FieldDifference, JudgePlan,
    JudgingRule, ModelName, ModelRef, Outcome, PersonaId, PersonaPlan, Plan, RubricRef, Sampling,
    SimulatorAuditRule, SimulatorPlan,
};

use super::BaselineError;
use crate::plan_difference::differences;
use crate::preflight::Preflight;

/// Version of the format.
const FORMAT: u32 = 1;

/// Largest file that is read: far above that of a million scores.
const MOST_BYTES: u64 = 256 << 20;

/// A shipped model's scores without a word of what was said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselineFile {
    format: u32,
    /// The version of the program that wrote it.
    version: String,
    /// Digest of the plan of the run that the scores are from.
    plan: Digest,
    /// The model.
    model: ModelRef,
    conditions: Conditions,
    /// In the rubric's order.
    criteria: Vec<CriterionPlace>,
    /// By persona and repeat.
    conversations: Vec<StoredScore>,
}

/// What must be the same for scores to be comparable: all of a plan but its models and its bar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    system_prompt: Option<String>,
    personas: PersonaPlan,
    simulator: SimulatorPlan,
    simulator_audit: SimulatorAuditRule,
    rubric: RubricRef,
    judges: Vec<JudgePlan>,
    judging: JudgingRule,
    sampling: Sampling,
    /// How requests are sent otherwise than this says, where a server would refuse them.
    sent_otherwise: Vec<String>,
}

/// Where a criterion stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CriterionPlace {
    criterion: String,
    category: String,
    safety: bool,
}

/// One conversation's scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredScore {
    persona: PersonaId,
    repeat: u32,
    /// `None`: there is no score.
    score: Option<f64>,
    passed: Option<bool>,
    /// By id; `None`: there is no score; not there: the criterion does not apply.
    criteria: BTreeMap<String, Option<f64>>,
}

impl Conditions {
    /// Returns what scores depend on in a run of `plan`, models apart; `found`: before it began.
    pub fn of(plan: &Plan, found: &Preflight) -> Self {
        Self {
            system_prompt: plan.system_prompt.clone(),
            personas: plan.personas.clone(),
            simulator: plan.simulator.clone(),
            simulator_audit: plan.simulator_audit.clone(),
            rubric: plan.rubric.clone(),
            judges: plan.judges.clone(),
            // Whole conversations held against each other change no score.
            judging: JudgingRule {
                pairwise: false,
                ..plan.judging
            },
            sampling: plan.sampling.clone(),
            sent_otherwise: found.adaptations(),
        }
    }
}

impl BaselineFile {
    /// Takes the scores of `model` from a run of `plan`.
    ///
    /// Errors if the run has no such model, or not all of its planned conversations.
    pub fn of(
        plan: &Plan,
        found: &Preflight,
        model: &ModelName,
        scores: &[ConversationScore],
    ) -> Result<Self, BaselineError> {
        let planned = plan.models.iter().find(|planned| planned.name == *model);
        let Some(planned) = planned else {
            return Err(BaselineError::NoModel {
                model: model.to_string(),
                known: plan.models.iter().map(|m| m.name.to_string()).collect(),
            });
        };
        let mut own: Vec<&ConversationScore> = scores
            .iter()
            .filter(|score| score.conversation.model == *model)
            .collect();
        own.sort_by(|a, b| a.conversation.cmp(&b.conversation));
        let wanted = plan.personas.count as usize * plan.personas.repeats as usize;
        if own.len() != wanted {
            return Err(BaselineError::Partial {
                model: model.clone(),
                held: own.len(),
                planned: wanted,
            });
        }
        let mut seen = BTreeSet::new();
        let criteria = own.iter().flat_map(|score| &score.criteria);
        let criteria = criteria.filter(|c| seen.insert(c.criterion.as_str()));
        Ok(Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            plan: plan.digest(),
            model: planned.clone(),
            conditions: Conditions::of(plan, found),
            criteria: criteria.map(CriterionPlace::of).collect(),
            conversations: own.into_iter().map(StoredScore::of).collect(),
        })
    }

    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self, BaselineError> {
        let failed = |source| BaselineError::Read {
            path: path.to_owned(),
            source,
        };
        let wrong = |reason: String| BaselineError::Content {
            path: path.to_owned(),
            reason,
        };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(MOST_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::InvalidData => wrong("the text is not UTF-8".to_owned()),
                _ => failed(error),
            })?;
        if text.len() as u64 > MOST_BYTES {
            return Err(wrong(format!("it is larger than {MOST_BYTES} bytes")));
        }
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        match value.get("format").and_then(serde_json::Value::as_u64) {
            Some(1) => {}
            Some(other) => {
                return Err(wrong(format!(
                    "it is of format {other}, and this version reads 1"
                )));
            }
            None => return Err(wrong("there is no `format`".to_owned())),
        }
        let file: Self =
            serde_path_to_error::deserialize(value).map_err(|error| wrong(error.to_string()))?;
        file.check().map_err(wrong)?;
        Ok(file)
    }

    /// Looks whether every conversation of the plan is there once, and nothing else.
    fn check(&self) -> Result<(), String> {
        let PersonaPlan { count, repeats, .. } = &self.conditions.personas;
        let mut seen = BTreeSet::new();
        for score in &self.conversations {
            let (persona, repeat) = (&score.persona, score.repeat);
            if !(1..=*repeats).contains(&repeat) || !seen.insert((persona, repeat)) {
                return Err(format!(
                    "conversation {persona}/{repeat} is there twice or is none of {repeats} repeats"
                ));
            }
            let known = |id: &String| self.criteria.iter().any(|c| c.criterion == *id);
            if let Some(id) = score.criteria.keys().find(|id| !known(id)) {
                return Err(format!(
                    "conversation {persona}/{repeat} has a score on `{id}`, which `criteria` lacks"
                ));
            }
        }
        let personas: BTreeSet<&PersonaId> = seen.iter().map(|(persona, _)| *persona).collect();
        if personas.len() != *count as usize || seen.len() != *count as usize * *repeats as usize {
            return Err(format!(
                "it has {} conversations of {} people, its plan {count} × {repeats}",
                seen.len(),
                personas.len()
            ));
        }
        Ok(())
    }

    /// Returns the text of the file: the same scores give the same bytes, a conversation is a line.
    pub fn text(&self) -> String {
        let line = |score: &StoredScore| {
            let json = serde_json::to_string(score).expect("scores are plain data");
            format!("    {json}")
        };
        let lines: Vec<String> = self.conversations.iter().map(line).collect();
        let without = Self {
            conversations: Vec::new(),
            ..self.clone()
        };
        let head = serde_json::to_string_pretty(&without).expect("scores are plain data");
        let head = head
            .strip_suffix("[]\n}")
            .expect("conversations stand last");
        shipworthy_reports::inert_json(&format!("{head}[\n{}\n  ]\n}}\n", lines.join(",\n")))
    }

    /// Returns the model that the scores are of.
    pub fn model(&self) -> &ModelRef {
        &self.model
    }

    /// Returns the digest of the plan of the run that the scores are from.
    pub fn plan(&self) -> &Digest {
        &self.plan
    }

    /// Returns the version of the program that wrote it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the scores as those of a model named `name`.
    pub fn scores(&self, name: &ModelName) -> Vec<ConversationScore> {
        let score = |stored: &StoredScore| stored.score(name, &self.criteria);
        self.conversations.iter().map(score).collect()
    }

    /// Returns in what the conditions differ from those of a run of `plan`; nothing: scores are
    /// comparable. `found`: what was found before the run, `None` where nobody has looked yet.
    pub fn differences(&self, plan: &Plan, found: Option<&Preflight>) -> Vec<FieldDifference> {
        let mut own = Conditions::of(plan, found.unwrap_or(&Preflight::default()));
        if found.is_none() {
            own.sent_otherwise
                .clone_from(&self.conditions.sent_otherwise);
        }
        differences(&self.conditions, &own)
    }
}

impl CriterionPlace {
    fn of(score: &CriterionScore) -> Self {
        Self {
            criterion: score.criterion.clone(),
            category: score.category.clone(),
            safety: score.safety,
        }
    }
}

impl StoredScore {
    fn of(score: &ConversationScore) -> Self {
        let applies = |c: &&CriterionScore| c.outcome != Outcome::NotApplicable;
        let criteria = score.criteria.iter().filter(applies);
        Self {
            persona: score.conversation.persona.clone(),
            repeat: score.conversation.repeat,
            score: score.overall.value(),
            passed: score.passed,
            criteria: criteria
                .map(|c| (c.criterion.clone(), c.outcome.value()))
                .collect(),
        }
    }

    fn score(&self, model: &ModelName, places: &[CriterionPlace]) -> ConversationScore {
        let outcome = |value: Option<f64>| match value {
            Some(value) => Outcome::Scored { value },
            None => Outcome::Unscored {
                reason: "the baseline file has no score".to_owned(),
            },
        };
        let criterion = |place: &CriterionPlace| CriterionScore {
            criterion: place.criterion.clone(),
            category: place.category.clone(),
            safety: place.safety,
            outcome: match self.criteria.get(&place.criterion) {
                Some(value) => outcome(*value),
                None => Outcome::NotApplicable,
            },
            reason: String::new(),
            grades: Vec::new(),
        };
        ConversationScore {
            conversation: ConversationId {
                model: model.clone(),
                persona: self.persona.clone(),
                repeat: self.repeat,
            },
            overall: outcome(self.score),
            passed: self.passed,
            criteria: places.iter().map(criterion).collect(),
            judge_calls: Vec::new(),
            simulator_flags: Vec::new(),
        }
    }
}
