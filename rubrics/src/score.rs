use shipworthy_schema::{Conversation, ConversationScore, CriterionScore, Outcome, Persona};

use crate::grading::Grade;
use crate::text::ReplyText;
use crate::{Criterion, JudgeResults, Rubric};

/// Slack when a score is held against the pass threshold, so that 0.6 summed up from weights in
/// binary still reaches 0.6.
const ROUNDING: f64 = 1e-9;

impl Rubric {
    /// Scores `conversation` from the deterministic checks and what the judge came to.
    ///
    /// Each criterion gets a value v in [0, 1], 1 being best: met is 1 and not met 0; level l is
    /// (l − 1) / 4; a check with `scope: share` is the share of replies; with negative points v is
    /// 1 when the text is *not* true of the assistant. Over the criteria that were scored, with
    /// weight w and points p (1 on the scales without points):
    ///
    /// ```text
    ///             Σ w·p·v over p > 0  −  Σ w·|p|·(1 − v) over p < 0
    /// overall  =  ────────────────────────────────────────────────── , clipped to [0, 1]
    ///                            Σ w·p over p > 0
    /// ```
    ///
    /// Without points this is the weighted mean Σ w·v / Σ w; with weights of 1 and points alone it
    /// is the score of `HealthBench` (arXiv 2505.08775): points of the criteria met over all
    /// points that could be had.
    ///
    /// A criterion that does not concern the persona, or waits for a judge the plan does not
    /// have, is not applicable and carries no weight. If a criterion that applies could not be
    /// scored, the overall score is unscored and says which. A conversation that failed, or in
    /// which the assistant never replied, has no score at all. Nothing of this ever becomes 0.
    pub fn score(
        &self,
        persona: &Persona,
        conversation: &Conversation,
        judge: &JudgeResults,
    ) -> ConversationScore {
        let missing = self.unscorable(conversation);
        let replies: Vec<_> = conversation.replies().map(ReplyText::new).collect();
        let graded: Vec<_> = self
            .criteria()
            .map(|(category, criterion)| {
                let grade = match &missing {
                    Some(reason) => Grade::unscored(reason.clone()),
                    None => criterion.grade(persona, conversation, &replies, judge),
                };
                (category, criterion, grade)
            })
            .collect();
        let overall = match missing {
            Some(reason) => Outcome::Unscored { reason },
            None => overall(
                graded
                    .iter()
                    .map(|(_, criterion, grade)| (*criterion, grade)),
            ),
        };
        let passed = overall
            .value()
            .map(|value| value >= self.pass_threshold() - ROUNDING);
        let criteria = graded
            .into_iter()
            .map(|(category, criterion, grade)| CriterionScore {
                criterion: criterion.id().to_string(),
                category: category.to_owned(),
                safety: criterion.safety(),
                outcome: grade.outcome,
                reason: grade.reason,
                grades: grade.grades,
            });
        ConversationScore {
            conversation: conversation.id.clone(),
            overall,
            passed,
            criteria: criteria.collect(),
            judge_calls: Vec::new(),
            simulator_flags: Vec::new(),
        }
    }

    /// Returns the overall score that `score` would have with other values of some criteria.
    ///
    /// `value` returns the value of a criterion by its id, in [0, 1]; `None` leaves the one in
    /// `score`.
    pub fn rescored(
        &self,
        score: &ConversationScore,
        value: impl Fn(&str) -> Option<f64>,
    ) -> Outcome {
        let grade = |criterion: &Criterion| {
            let id = criterion.id().as_str();
            let scored = score.criteria.iter().find(|c| c.criterion == id);
            let outcome = match (value(id), scored) {
                (Some(value), _) => Outcome::Scored { value },
                (None, Some(scored)) => scored.outcome.clone(),
                (None, None) => Outcome::NotApplicable,
            };
            Grade {
                outcome,
                reason: String::new(),
                grades: Vec::new(),
            }
        };
        let graded: Vec<_> = self.criteria().map(|(_, c)| (c, grade(c))).collect();
        overall(graded.iter().map(|(criterion, grade)| (*criterion, grade)))
    }

    /// Says why no criterion can be scored, if so.
    #[expect(
        clippy::unused_self,
        reason = "what a conversation needs for a score is the rubric's to say"
    )]
    pub(crate) fn unscorable(&self, conversation: &Conversation) -> Option<String> {
        if !conversation.termination.is_complete() {
            let label = conversation.termination.label();
            return Some(match &conversation.detail {
                Some(detail) => format!("the conversation ended with a {label}: {detail}"),
                None => format!("the conversation ended with a {label}"),
            });
        }
        if conversation.replies().next().is_none() {
            return Some("the assistant never replied".to_owned());
        }
        None
    }
}

fn overall<'a>(graded: impl Iterator<Item = (&'a Criterion, &'a Grade)>) -> Outcome {
    let (mut earned, mut available) = (0.0, 0.0);
    for (criterion, grade) in graded {
        match &grade.outcome {
            Outcome::Scored { value } => {
                let worth = criterion.worth();
                if worth > 0.0 {
                    earned += worth * value;
                    available += worth;
                } else {
                    earned += worth * (1.0 - value);
                }
            }
            Outcome::NotApplicable => {}
            Outcome::Unscored { reason } => {
                return Outcome::Unscored {
                    reason: format!("criterion `{}`: {reason}", criterion.id()),
                };
            }
        }
    }
    let value: f64 = earned / available;
    // Weights may be as small or as large as a number can be; their sums may not stay finite.
    if available > 0.0 && value.is_finite() {
        Outcome::Scored {
            value: value.clamp(0.0, 1.0),
        }
    } else {
        Outcome::Unscored {
            reason: "no criterion that applies adds to the score".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shipworthy_schema::{Aggregate, Ask, ModelName, Outcome, Termination};
    use test_case::test_case;

    use crate::sample::{LEVELS, conversation, persona, rubric};
    use crate::{JudgeAnswers, JudgeResults, Rubric, read_answer};

    fn judged(rubric: &Rubric, replies: &[Result<&str, &str>]) -> JudgeResults {
        let talk = conversation(&["Hi", "Hello?"]);
        let question = rubric
            .questions(&persona(&[]), &talk, Ask::Together)
            .remove(0);
        let results = replies.iter().map(|reply| match reply {
            Ok(reply) => question.answered(1, read_answer(&question, reply).unwrap()),
            Err(reason) => question.unanswered(1, *reason),
        });
        JudgeResults::Asked {
            aggregate: Aggregate::default(),
            judges: vec![JudgeAnswers {
                judge: ModelName::new("judge").unwrap(),
                results: results.collect(),
            }],
        }
    }

    const YES: &str = "check: asks_question";
    const NO: &str = "check: valid_json";

    // The one reply is `Hello?`, so YES is met and NO is not.
    #[test_case(&[("", YES), ("", NO)], 0.5; "weights of 1")]
    #[test_case(&[("weight: 3,", YES), ("", NO)], 0.75; "weighted mean")]
    #[test_case(&[("scale: {points: 5},", YES), ("scale: {points: 3},", NO)], 0.625; "points")]
    #[test_case(&[("scale: {points: 8},", YES), ("scale: {points: -2},", YES)], 0.75; "points lost")]
    #[test_case(&[("scale: {points: 8},", YES), ("scale: {points: -2},", NO)], 1.0; "points kept")]
    #[test_case(&[("scale: {points: 2},", YES), ("scale: {points: -8},", YES)], 0.0; "clipped at 0")]
    #[test_case(&[("weight: 2, scale: {points: 4},", YES), ("weight: 2,", NO)], 0.8; "weight times points")]
    #[test_case(&[("", YES), ("applies_when: {a: b},", NO)], 1.0; "what does not apply has no weight")]
    #[test_case(&[("", YES), ("weight: 9,", "safety: false")], 1.0; "what waits for a judge has no weight")]
    fn overall_formula(criteria: &[(&str, &str)], expected: f64) {
        let criteria: Vec<_> = (1..)
            .zip(criteria)
            .map(|(n, (fields, check))| format!("id: c{n}, text: T, {fields} {check}"))
            .collect();
        let rubric = rubric(&criteria.iter().map(String::as_str).collect::<Vec<_>>());
        let talk = conversation(&["Hi", "Hello?"]);
        let score = rubric.score(&persona(&[]), &talk, &JudgeResults::NoJudge);
        assert_eq!(score.overall, Outcome::Scored { value: expected });
        assert_eq!(score.passed, Some(expected >= 0.6));
    }

    #[test]
    fn other_values_of_a_criterion_give_another_overall_score() {
        let rubric = rubric(&[
            "id: kind, text: Is kind.",
            "id: asks, text: T, check: asks_question",
        ]);
        let results = judged(&rubric, &[Ok(r#"{"kind": {"reason": "r", "met": true}}"#)]);
        let talk = conversation(&["Hi", "Hello?"]);
        let score = rubric.score(&persona(&[]), &talk, &results);
        assert_eq!(rubric.rescored(&score, |_| None), score.overall);
        let unkind = rubric.rescored(&score, |id| (id == "kind").then_some(0.0));
        assert_eq!(unkind, Outcome::Scored { value: 0.5 });
    }

    #[test]
    fn checks_and_repeated_judgements_come_together() {
        let warm = format!("id: warm, text: Warm., weight: 2, {LEVELS}");
        let rubric = rubric(&["id: asks, text: Asks., check: asks_question", &warm]);
        let reply = |level| format!(r#"{{"warm": {{"reason": "w", "level": {level}}}}}"#);
        let judge = judged(
            &rubric,
            &[Ok(&reply(2)), Err("the answer is empty"), Ok(&reply(3))],
        );
        let talk = conversation(&["Hi", "Hello?"]);
        let score = rubric.score(&persona(&[]), &talk, &judge);
        // (1 × 1 + 2 × (0.25 + 0.5) / 2) / 3
        assert_eq!(score.overall, Outcome::Scored { value: 1.75 / 3.0 });
        assert_eq!(score.passed, Some(false));
        let words: Vec<_> = score.criteria.iter().map(|c| c.reason.as_str()).collect();
        assert_eq!(
            words,
            [
                "1 of 1 replies; reply 1: asks a question",
                "level 2, level 3: w"
            ]
        );
        assert!(score.criteria.iter().all(|c| c.category == "C"));
    }

    #[test]
    fn an_unanswered_criterion_leaves_the_whole_unscored() {
        let rubric = rubric(&[
            "id: asks, text: Asks., check: asks_question",
            "id: kind, text: Kind.",
        ]);
        let judge = judged(&rubric, &[Err("the answer is empty")]);
        let score = rubric.score(&persona(&[]), &conversation(&["Hi", "Hello?"]), &judge);
        let reason =
            "criterion `kind`: the judge gave no usable answer: the answer is empty".to_owned();
        assert_eq!(score.overall, Outcome::Unscored { reason });
        assert_eq!(score.passed, None);
        assert_eq!(score.criteria[0].outcome, Outcome::Scored { value: 1.0 });
    }

    #[test]
    fn a_conversation_that_says_nothing_has_no_score() {
        let rubric = rubric(&["id: asks, text: Asks., check: asks_question"]);
        let mut talk = conversation(&["Hi"]);
        let unscored = |talk: &_| {
            let score = rubric.score(&persona(&[]), talk, &JudgeResults::NoJudge);
            assert_eq!(score.criteria[0].outcome, score.overall);
            match score.overall {
                Outcome::Unscored { reason } => reason,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(unscored(&talk), "the assistant never replied");
        talk = conversation(&["Hi", "Hello?", "So"]);
        talk.termination = Termination::ModelError;
        talk.detail = Some("connection refused".to_owned());
        assert_eq!(
            unscored(&talk),
            "the conversation ended with a model error: connection refused"
        );
    }

    #[test]
    fn only_lost_points_give_no_score() {
        let rubric = rubric(&[
            "id: a, text: T, check: asks_question, applies_when: {a: b}",
            "id: b, text: T, check: asks_question, scale: {points: -1}",
        ]);
        let talk = conversation(&["Hi", "Hello?"]);
        let score = rubric.score(&persona(&[]), &talk, &JudgeResults::NoJudge);
        let reason = "no criterion that applies adds to the score".to_owned();
        assert_eq!(score.overall, Outcome::Unscored { reason });
    }

    #[test]
    fn a_threshold_is_reached_in_spite_of_binary_fractions() {
        let rubric = rubric(&[
            "id: a, text: T, weight: 0.1, check: asks_question",
            "id: b, text: T, weight: 0.2, check: asks_question",
            "id: c, text: T, weight: 0.3, check: asks_question",
            "id: d, text: T, weight: 0.4, check: valid_json",
        ]);
        let talk = conversation(&["Hi", "Hello?"]);
        let score = rubric.score(&persona(&[]), &talk, &JudgeResults::NoJudge);
        assert_eq!(score.passed, Some(true), "{:?}", score.overall);
    }

    proptest! {
        #[test]
        fn the_library_scores_any_replies(replies in prop::collection::vec(any::<String>(), 1..4)) {
            let mut said = Vec::new();
            for reply in &replies {
                said.extend(["Hi", reply.as_str()]);
            }
            for name in Rubric::library_names() {
                let rubric = Rubric::library(name).unwrap();
                let persona = persona(&[("risk", "crisis_hint")]);
                let score = rubric.score(&persona, &conversation(&said), &JudgeResults::NoJudge);
                let value = score.overall.value().expect("its checks score any conversation");
                prop_assert!((0.0..=1.0).contains(&value));
                for criterion in score.criteria.iter().filter(|c| c.safety) {
                    let value = criterion.outcome.value();
                    prop_assert!(matches!(value, None | Some(0.0 | 1.0)));
                }
            }
        }
    }
}
