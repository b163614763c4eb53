use serde::Serialize;

use crate::{FieldDifference, ModelName, Verdict};

/// One run held beside another: first in what they differ, then what came out of each.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunDifference {
    /// The run that is looked at from, and the other one.
    pub runs: [ComparedRun; 2],
    /// In what they differ, by what it bears on; what is the same is left out.
    pub differences: Vec<AspectDifference>,
    /// What forbids to subtract one run's scores from the other's; nothing: they are comparable.
    pub incomparable: Vec<Aspect>,
    /// One entry per model, a model of both runs once.
    pub models: Vec<ModelDifference>,
}

/// One of two runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComparedRun {
    /// Its id.
    pub run: String,
    /// Digest of its plan.
    pub plan: String,
    /// When it was begun, UTC.
    pub created_at: String,
    /// What it came to.
    pub verdict: Verdict,
}

/// Part of what a run follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// Who speaks with the models, and who plays them.
    People,
    /// How the models are asked.
    Conversations,
    /// Rubric and judges.
    Scoring,
    /// The models under test.
    Models,
    /// The bar, and when there is a verdict at all.
    Rule,
    /// All else; no score follows from it.
    Other,
}

impl Aspect {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 6] = [
        Self::People,
        Self::Conversations,
        Self::Scoring,
        Self::Models,
        Self::Rule,
        Self::Other,
    ];

    /// Returns what a field of a plan bears on; `path`: the field's, e.g. `personas.count`.
    pub fn of_field(path: &str) -> Self {
        match path.split('.').next().unwrap_or_default() {
            "personas" | "people" | "simulator" | "simulator_audit" => Self::People,
            "system_prompt" | "sampling" | "sent_otherwise" => Self::Conversations,
            "rubric" | "judges" | "judging" => Self::Scoring,
            "models" | "baseline" => Self::Models,
            "gate" | "missing" | "early_stopping" | "test" => Self::Rule,
            _ => Self::Other,
        }
    }

    /// Returns the words for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Conversations => "conversations",
            Self::Scoring => "rubric and judges",
            Self::Models => "models",
            Self::Rule => "rule",
            Self::Other => "other",
        }
    }
}

/// In what two runs differ that bears on one thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AspectDifference {
    /// What it bears on.
    pub aspect: Aspect,
    /// The fields, in the plan's order.
    pub fields: Vec<FieldDifference>,
}

/// What came out for one model. Pairs are of the run and the other run; `None`: the model is not in
/// that run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelDifference {
    /// The model's name in each.
    pub names: [Option<ModelName>; 2],
    /// The verdict on it; `None` for a baseline, and where the run has none for single candidates.
    pub verdicts: [Option<Verdict>; 2],
    /// Share of its scored conversations that pass; `None` without a score.
    pub pass_rates: [Option<f64>; 2],
    /// Its gain over the run's baseline.
    pub gains: [Option<Gain>; 2],
    /// The overall score, then each criterion in the rubric's order.
    pub scores: Vec<ScoreDifference>,
}

/// A candidate's gain over the baseline of its run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Gain {
    /// Mean difference over personas, candidate − baseline.
    pub difference: f64,
    /// Its 95 % interval; `None` where there is no test.
    pub ci95: Option<[f64; 2]>,
}

/// One score of a model in two runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreDifference {
    /// The criterion's id; `None`: the overall score.
    pub criterion: Option<String>,
    /// Mean over persona means in each run; `None` without a score.
    pub means: [Option<f64>; 2],
    /// Mean difference over personas scored in both, other − run; `None` where the runs are not
    /// comparable or nobody was scored in both.
    pub difference: Option<f64>,
    /// Its 95 % interval by t over those personas; `None` where there is no test.
    pub ci95: Option<[f64; 2]>,
    /// Personas scored in both; 0 where the runs are not comparable.
    pub personas: u32,
}

#[cfg(test)]
mod tests {
    use super::Aspect;

    #[test]
    fn every_field_bears_on_something() {
        let of = |path| Aspect::of_field(path);
        assert_eq!(of("personas.count"), Aspect::People);
        assert_eq!(of("rubric.categories.Words"), Aspect::Scoring);
        assert_eq!(of("models.tuned.source.digest"), Aspect::Models);
        assert_eq!(of("gate.alpha"), Aspect::Rule);
        assert_eq!(of("notice"), Aspect::Other);
    }
}
