use serde::{Deserialize, Serialize};

use crate::ModelName;

/// How judges are asked, and how their answers become one score; fixed in the plan, the same for
/// every model.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields, default)]
pub struct JudgingRule {
    /// How many criteria one question has.
    pub ask: Ask,
    /// How several judgements become one.
    pub aggregate: Aggregate,
    /// Whether every judge also holds each conversation of a candidate against the baseline's with
    /// the same person, whole, in both orders: evidence beside the scores.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pairwise: bool,
}

/// How many criteria one question to a judge has.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// All criteria in one question: one call a judgement.
    #[default]
    Together,
    /// One question for each criterion: more calls, and no grade leans on another.
    OneByOne,
}

/// How several judgements of a criterion become one, by the kind of its scale.
///
/// A judge's repeats are put together first, then the judges, so that each judge weighs the same.
/// Safety criteria are decided by the majority whatever this says, a tie against the assistant.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields, default)]
pub struct Aggregate {
    /// For criteria that are met or not met, those with points among them.
    pub met: Aggregation,
    /// For criteria with levels.
    pub levels: Aggregation,
}

/// How several values become one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Their mean.
    #[default]
    Mean,
    /// The one in the middle, or the mean of the two in the middle.
    Median,
    /// The one given most often; of several given equally often, their mean.
    Majority,
}

/// What one judge said of one criterion in one repeat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgeGrade {
    /// The judge.
    pub judge: ModelName,
    /// Which of its repeats, from 1.
    pub repeat: u32,
    /// The criterion's value in [0, 1], 1 being best; `None`: the judge gave no usable answer.
    pub value: Option<f64>,
    /// The judge's words, or why there is no value.
    pub reason: String,
}

/// What asking one judge about one conversation took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgeCalls {
    /// The judge.
    pub judge: ModelName,
    /// Replies it gave, unusable ones included.
    pub calls: u32,
    /// Tokens it read, if every reply says so.
    pub prompt_tokens: Option<u64>,
    /// Tokens it wrote, if every reply says so.
    pub completion_tokens: Option<u64>,
}

/// How the judges of an evaluation did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgingSummary {
    /// One entry per judge, in the plan's order.
    pub judges: Vec<JudgeSummary>,
    /// How far judgements of the same conversation agree: judges with each other first, then each
    /// judge with itself; criteria in the rubric's order.
    pub agreement: Vec<CriterionAgreement>,
}

/// What one judge took and gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgeSummary {
    /// The judge.
    pub judge: ModelName,
    /// Replies it gave, unusable ones included.
    pub calls: u64,
    /// Tokens it read, if every reply says so.
    pub prompt_tokens: Option<u64>,
    /// Tokens it wrote, if every reply says so.
    pub completion_tokens: Option<u64>,
    /// What it gave each model, the baseline first.
    pub models: Vec<JudgedModel>,
}

/// What one judge gave one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgedModel {
    /// The model.
    pub model: ModelName,
    /// Grades wanted: criteria that apply × repeats × conversations.
    pub wanted: u32,
    /// Of these, those for which it gave no usable answer.
    pub gaps: u32,
    /// Mean of its grades; `None` of none.
    pub mean: Option<f64>,
}

/// How far judgements of one criterion agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CriterionAgreement {
    /// The criterion.
    pub criterion: String,
    /// Whose judgements are compared.
    pub raters: Raters,
    /// Conversations with two judgements or more.
    pub conversations: u32,
    /// Share of pairs of judgements of one conversation that are equal.
    pub equal: f64,
    /// Krippendorff's alpha for interval data: 1 is full agreement, 0 what chance gives. `None`
    /// where all judgements are the same, so that chance alone would agree as well.
    pub alpha: Option<f64>,
    /// 95 % interval of `alpha` from resampling personas; `None` where too few resamples have one.
    pub alpha_ci95: Option<[f64; 2]>,
    /// Whether the reader is warned of it.
    pub is_poor: bool,
}

/// Whose judgements are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Raters {
    /// Judges with each other, each by the mean of its repeats.
    Judges,
    /// One judge's repeats with each other.
    Repeats {
        /// The judge.
        judge: ModelName,
    },
}
