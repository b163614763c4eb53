use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{ConversationId, ModelName};

/// What a person says of a criterion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HumanAnswer {
    /// Its text is true of the assistant, or it is not.
    Met(bool),
    /// A level, from 1 to 5.
    Level(u8),
    /// The person cannot tell; this is no grade.
    CannotTell,
}

/// Says that a word is no answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{0}` is no answer; use met, not_met, 1 to 5 or cannot_tell")]
pub struct InvalidAnswer(String);

impl fmt::Display for HumanAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Met(true) => f.write_str("met"),
            Self::Met(false) => f.write_str("not_met"),
            Self::Level(level) => write!(f, "{level}"),
            Self::CannotTell => f.write_str("cannot_tell"),
        }
    }
}

impl FromStr for HumanAnswer {
    type Err = InvalidAnswer;

    fn from_str(text: &str) -> Result<Self, InvalidAnswer> {
        match text {
            "met" => Ok(Self::Met(true)),
            "not_met" => Ok(Self::Met(false)),
            "cannot_tell" => Ok(Self::CannotTell),
            "1" | "2" | "3" | "4" | "5" => Ok(Self::Level(text.as_bytes()[0] - b'0')),
            // What is quoted ends up in a message.
            _ => Err(InvalidAnswer(text.chars().take(40).collect())),
        }
    }
}

impl TryFrom<String> for HumanAnswer {
    type Error = InvalidAnswer;

    fn try_from(text: String) -> Result<Self, InvalidAnswer> {
        text.parse()
    }
}

impl From<HumanAnswer> for String {
    fn from(answer: HumanAnswer) -> Self {
        answer.to_string()
    }
}

/// What one person said of one conversation, without knowing its model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HumanLabel {
    /// Who said it.
    pub rater: String,
    /// Which conversation.
    pub conversation: ConversationId,
    /// What was answered so far, in the rubric's order.
    pub grades: Vec<HumanGrade>,
    /// The person's own words; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// One criterion's answer by a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HumanGrade {
    /// The criterion.
    pub criterion: String,
    /// What was answered.
    pub answer: HumanAnswer,
    /// The criterion's value in [0, 1], 1 being best; `None` where the person cannot tell.
    pub value: Option<f64>,
}

/// What people who did not know the models say, held against the judges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HumanCheck {
    /// Who labelled, in name order.
    pub raters: Vec<HumanRater>,
    /// Conversations with a grade.
    pub conversations: u32,
    /// How far judges and people agree, in the rubric's order.
    pub criteria: Vec<HumanAgreement>,
    /// What the labels say of the difference between the models, one entry per candidate with
    /// labels; in name order.
    pub differences: Vec<HumanDifference>,
    /// Grades that are half of the scale or more apart, the widest first.
    pub conflicts: Vec<HumanConflict>,
}

/// One person's share in the labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HumanRater {
    /// The name given.
    pub rater: String,
    /// Conversations with a grade of this person.
    pub conversations: u32,
}

/// How far the judges and people, and people among themselves, agree on a criterion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HumanAgreement {
    /// The criterion.
    pub criterion: String,
    /// Pairs of a person's grade and the judges' one.
    pub pairs: u32,
    /// Share of these pairs that are equal; `None` without a pair.
    pub equal: Option<f64>,
    /// Cohen's kappa of the pairs: with quadratic weights for levels. `None` where it is not
    /// defined, because all grades are the same.
    pub kappa: Option<f64>,
    /// 95 % interval of `kappa` from resampling personas; `None` where too few resamples have one.
    pub kappa_ci95: Option<[f64; 2]>,
    /// Gwet's AC1 of the pairs, to be read beside kappa where one grade prevails.
    pub ac1: Option<f64>,
    /// Conversations that two people or more graded.
    pub shared: u32,
    /// Krippendorff's alpha of people with each other, for interval data; `None` where nobody
    /// shares a conversation, or all grades are the same.
    pub alpha: Option<f64>,
    /// 95 % interval of `alpha` from resampling personas.
    pub alpha_ci95: Option<[f64; 2]>,
    /// Whether the reader is warned of `kappa`.
    pub is_poor: bool,
}

/// What people's grades say of one candidate's difference to the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HumanDifference {
    /// The candidate.
    pub model: ModelName,
    /// Personas of whom people graded a conversation with either model in full.
    pub labelled: u32,
    /// Personas that were judged.
    pub personas: u32,
    /// Mean difference by the run's scores, over all of them.
    pub judged_of_all: f64,
    /// Mean difference by the run's scores, over the labelled conversations only.
    pub judged: f64,
    /// Mean difference by people's grades, over the same conversations.
    pub human: f64,
    /// 95 % interval of `human`; `None` below two personas or without any spread.
    pub human_ci95: Option<[f64; 2]>,
    /// The judges' difference over all personas, corrected by how far people's grades lie from it
    /// on the labelled ones; `None` below two labelled personas.
    pub corrected: Option<f64>,
    /// 95 % interval of `corrected`.
    pub corrected_ci95: Option<[f64; 2]>,
}

/// Grades of one criterion in one conversation that are far apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HumanConflict {
    /// The conversation.
    pub conversation: ConversationId,
    /// The criterion.
    pub criterion: String,
    /// The judges' value in [0, 1]; `None` without one.
    pub judged: Option<f64>,
    /// People's values, in name order.
    pub people: Vec<HumanValue>,
    /// How far apart the widest two are.
    pub gap: f64,
}

/// One person's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HumanValue {
    /// Who.
    pub rater: String,
    /// The value in [0, 1], 1 being best.
    pub value: f64,
}

#[cfg(test)]
mod tests {
    use super::HumanAnswer;

    #[test]
    fn answers_read_as_they_are_written() {
        let answers = [
            HumanAnswer::Met(true),
            HumanAnswer::Met(false),
            HumanAnswer::Level(1),
            HumanAnswer::Level(5),
            HumanAnswer::CannotTell,
        ];
        for answer in answers {
            assert_eq!(answer.to_string().parse(), Ok(answer));
        }
        for wrong in ["", "0", "6", "yes", "Met", "11"] {
            assert!(wrong.parse::<HumanAnswer>().is_err(), "{wrong}");
        }
    }
}
