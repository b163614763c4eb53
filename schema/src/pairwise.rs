//! Whole conversations held against each other: a candidate's and the baseline's with the same person
//! in the same repeat.

use serde::{Deserialize, Serialize};

use crate::{ConversationId, JudgeCalls, ModelName};

/// Which of two conversations a judge prefers, by their places in its question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// The one shown first.
    First,
    /// The one shown second.
    Second,
    /// Neither.
    Tie,
}

/// Which of two models' conversations is preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preference {
    /// The candidate's.
    Candidate,
    /// The baseline's.
    Baseline,
    /// Neither.
    Tie,
}

impl Preference {
    /// Returns what it counts for the candidate: 1, 0, or ½ for a tie.
    pub fn value(self) -> f64 {
        match self {
            Self::Candidate => 1.0,
            Self::Baseline => 0.0,
            Self::Tie => 0.5,
        }
    }
}

/// A judge's answer on one order of a pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairAnswer {
    /// The preferred one; `None`: the judge gave no usable answer.
    pub choice: Option<Choice>,
    /// The judge's words, or why there is no choice.
    pub reason: String,
}

/// What one judge said of a pair in one of its repeats, asked in both orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairJudgement {
    /// The judge.
    pub judge: ModelName,
    /// Which of its repeats, from 1.
    pub repeat: u32,
    /// Its answer where the baseline's conversation stood first.
    pub baseline_first: PairAnswer,
    /// Its answer where the candidate's conversation stood first.
    pub candidate_first: PairAnswer,
}

impl PairJudgement {
    /// Returns the preference that both orders share, or a tie where they differ; `None` without a
    /// usable answer to both.
    pub fn preference(&self) -> Option<Preference> {
        let one = match self.baseline_first.choice? {
            Choice::First => Preference::Baseline,
            Choice::Second => Preference::Candidate,
            Choice::Tie => Preference::Tie,
        };
        let other = match self.candidate_first.choice? {
            Choice::First => Preference::Candidate,
            Choice::Second => Preference::Baseline,
            Choice::Tie => Preference::Tie,
        };
        Some(if one == other { one } else { Preference::Tie })
    }
}

/// A pair of conversations and what the judges prefer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedPair {
    /// The candidate's conversation; the other one is the baseline's with the same person in the same
    /// repeat.
    pub conversation: ConversationId,
    /// What more judges prefer; `None`: the pair is missing, which is never a tie.
    pub preference: Option<Preference>,
    /// Why the pair is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// What each judge said in each repeat; empty where nobody was asked.
    pub judgements: Vec<PairJudgement>,
    /// What asking took, by judge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judge_calls: Vec<JudgeCalls>,
}

/// Pairwise comparison of whole conversations: evidence beside the scores, which decides no verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairwiseSummary {
    /// One entry per candidate, in name order.
    pub candidates: Vec<PairwiseComparison>,
    /// One entry per judge, in the plan's order.
    pub judges: Vec<PairwiseJudge>,
}

/// How a candidate's conversations stand beside the baseline's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairwiseComparison {
    /// The candidate.
    pub model: ModelName,
    /// Pairs whose candidate's conversation is preferred.
    pub wins: u32,
    /// Pairs of which neither is preferred.
    pub ties: u32,
    /// Pairs whose baseline's conversation is preferred.
    pub losses: u32,
    /// Pairs without a preference; they are no ties.
    pub missing: u32,
    /// Personas with a preference.
    pub personas: u32,
    /// Mean over personas of their share of wins, ties counting half; `None` of none.
    pub win_rate: Option<f64>,
    /// 95 % interval of `win_rate` from resampling personas; `None` where all personas agree.
    pub ci95: Option<[f64; 2]>,
    /// Two-sided p of the sign-flip test on the personas' shares less ½; `None` below two personas.
    pub p_value: Option<f64>,
    /// How preferences go with scores.
    pub scores: ScoreAgreement,
    /// How preferences go with length.
    pub length: LengthPreference,
    /// Whether preferences go significantly one way and scores significantly the other.
    pub contradicts_scores: bool,
}

/// How often the preferred conversation has the higher score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreAgreement {
    /// Pairs with a preference for one of them, whose scores differ.
    pub pairs: u32,
    /// Of these, those whose preferred conversation has the higher score.
    pub agree: u32,
}

/// How often the longer conversation is preferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LengthPreference {
    /// Pairs with a preference for one of them, whose replies differ in their number of words.
    pub pairs: u32,
    /// Of these, those whose preferred conversation has more words of the model.
    pub longer: u32,
}

/// What one judge took and how it chose, over all candidates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairwiseJudge {
    /// The judge.
    pub judge: ModelName,
    /// Replies it gave, unusable ones included.
    pub calls: u64,
    /// Tokens it read, if every reply says so.
    pub prompt_tokens: Option<u64>,
    /// Tokens it wrote, if every reply says so.
    pub completion_tokens: Option<u64>,
    /// Usable answers that prefer the conversation shown first.
    pub first: u32,
    /// Usable answers that prefer the conversation shown second.
    pub second: u32,
    /// Usable answers that prefer neither.
    pub ties: u32,
    /// Answers wanted that are not there or cannot be used.
    pub gaps: u32,
    /// Judgements with a usable answer in both orders.
    pub both_orders: u32,
    /// Of these, those that say the same in both orders.
    pub consistent: u32,
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::{Choice, PairAnswer, PairJudgement, Preference};
    use crate::ModelName;

    fn preference(
        baseline_first: Option<Choice>,
        candidate_first: Option<Choice>,
    ) -> Option<Preference> {
        let answer = |choice| PairAnswer {
            choice,
            reason: String::new(),
        };
        PairJudgement {
            judge: ModelName::new("judge").unwrap(),
            repeat: 1,
            baseline_first: answer(baseline_first),
            candidate_first: answer(candidate_first),
        }
        .preference()
    }

    #[test_case(Choice::Second, Choice::First, Preference::Candidate; "candidate twice")]
    #[test_case(Choice::First, Choice::Second, Preference::Baseline; "baseline twice")]
    #[test_case(Choice::First, Choice::First, Preference::Tie; "whichever stands first")]
    #[test_case(Choice::Second, Choice::Second, Preference::Tie; "whichever stands second")]
    #[test_case(Choice::Tie, Choice::First, Preference::Tie; "preferred in one order only")]
    #[test_case(Choice::Tie, Choice::Tie, Preference::Tie; "tie twice")]
    fn a_preference_counts_where_both_orders_agree(one: Choice, other: Choice, is: Preference) {
        assert_eq!(preference(Some(one), Some(other)), Some(is));
    }

    #[test]
    fn a_missing_answer_is_no_tie() {
        assert_eq!(preference(Some(Choice::First), None), None);
        assert_eq!(preference(None, Some(Choice::Tie)), None);
    }
}
