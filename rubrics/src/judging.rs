use shipworthy_schema::{Aggregate, CriterionId, JudgeGrade, ModelName};

use crate::aggregation::{aggregated, rule_of};
use crate::{Criterion, JudgeAnswer, Judgement, Scale};

/// What the judges came to about one conversation.
#[derive(Clone, Debug, PartialEq)]
pub enum JudgeResults {
    /// The plan has no judge.
    NoJudge,
    /// What each judge said, and how that becomes one score.
    Asked {
        /// How several judgements become one.
        aggregate: Aggregate,
        /// Every judge of the plan.
        judges: Vec<JudgeAnswers>,
    },
}

impl Criterion {
    /// Returns the criterion's value in [0, 1], 1 being best, of a conversation that was given
    /// `judgement`; `None` if that is not of its scale.
    pub fn value(&self, judgement: Judgement) -> Option<f64> {
        degree(self.scale(), judgement).map(|degree| self.value_of(degree))
    }
}

/// What one judge came to about one conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgeAnswers {
    /// The judge.
    pub judge: ModelName,
    /// One result for each question and repeat.
    pub results: Vec<JudgeResult>,
}

/// What came of asking one question once, repairs included. Made by
/// [`crate::JudgeQuestion::answered`] and [`crate::JudgeQuestion::unanswered`].
#[derive(Clone, Debug, PartialEq)]
pub struct JudgeResult {
    /// Which of the judge's repeats, from 1.
    pub repeat: u32,
    /// The criteria asked about.
    pub criteria: Vec<CriterionId>,
    /// The answers, or why there are none.
    pub answers: Result<Vec<JudgeAnswer>, String>,
}

/// How far a criterion's text is true of a conversation, in [0, 1], with words; or why nobody can
/// say.
pub(crate) type Degree = Result<(f64, String), String>;

/// One judge's answers on one criterion.
struct Ballot<'a> {
    judge: &'a ModelName,
    given: Vec<(f64, &'a JudgeAnswer)>,
    failure: Option<&'a str>,
}

impl Ballot<'_> {
    fn words(&self) -> String {
        let given = self.given.iter().map(|(_, answer)| word(answer.judgement));
        given.collect::<Vec<_>>().join(", ")
    }

    fn why_empty(&self) -> &str {
        self.failure.unwrap_or("it was not asked")
    }
}

/// Returns the judges' degree for `criterion`: repeats are put together first, then judges.
///
/// A judge without a usable answer is a gap. The degree stands if more than half of the judges
/// answered; with fewer, who happens to answer would decide how strict the score is. A safety
/// criterion is decided by the majority, and a tie counts against the assistant.
pub(crate) fn judged_degree(
    criterion: &Criterion,
    aggregate: Aggregate,
    judges: &[JudgeAnswers],
) -> Degree {
    let ballots: Vec<Ballot<'_>> = judges
        .iter()
        .map(|judge| ballot(criterion, judge))
        .collect::<Result<_, _>>()?;
    let (voted, gaps): (Vec<_>, Vec<_>) = ballots.iter().partition(|b| !b.given.is_empty());
    if voted.len() * 2 <= ballots.len() {
        return Err(too_few(&gaps, ballots.len()));
    }
    let by_judge: Vec<f64> = voted
        .iter()
        .map(|ballot| {
            let degrees: Vec<f64> = ballot.given.iter().map(|(degree, _)| *degree).collect();
            decided(criterion, aggregate, &degrees)
        })
        .collect();
    let decided = decided(criterion, aggregate, &by_judge);
    // The words shown are those of a judgement on the side that the result is on.
    let given = voted.iter().flat_map(|ballot| &ballot.given);
    let nearest = given
        .min_by(|(a, _), (b, _)| (a - decided).abs().total_cmp(&(b - decided).abs()))
        .map_or("", |(_, answer)| answer.reason.as_str());
    let words = if let [only] = ballots.as_slice() {
        only.words()
    } else {
        let of_judge = |ballot: &Ballot<'_>| {
            if ballot.given.is_empty() {
                format!("{} no answer", ballot.judge)
            } else {
                format!("{} {}", ballot.judge, ballot.words())
            }
        };
        ballots.iter().map(of_judge).collect::<Vec<_>>().join("; ")
    };
    Ok((decided, format!("{words}: {nearest}")))
}

/// Returns what each judge said of `criterion` in each repeat; 1 is best in all of it.
pub(crate) fn grades(criterion: &Criterion, judges: &[JudgeAnswers]) -> Vec<JudgeGrade> {
    let mut grades = Vec::new();
    for JudgeAnswers { judge, results } in judges {
        for result in results
            .iter()
            .filter(|r| r.criteria.contains(criterion.id()))
        {
            let found = match &result.answers {
                Ok(given) => given
                    .iter()
                    .find(|answer| answer.criterion == *criterion.id())
                    .ok_or("the answer leaves it out"),
                Err(reason) => Err(reason.as_str()),
            };
            let value = found
                .ok()
                .and_then(|answer| criterion.value(answer.judgement));
            grades.push(JudgeGrade {
                judge: judge.clone(),
                repeat: result.repeat,
                value,
                reason: match found {
                    Ok(answer) => answer.reason.clone(),
                    Err(reason) => reason.to_owned(),
                },
            });
        }
    }
    grades
}

fn ballot<'a>(criterion: &Criterion, judge: &'a JudgeAnswers) -> Result<Ballot<'a>, String> {
    let mut ballot = Ballot {
        judge: &judge.judge,
        given: Vec::new(),
        failure: None,
    };
    for result in &judge.results {
        if !result.criteria.contains(criterion.id()) {
            continue;
        }
        match &result.answers {
            Ok(given) => {
                for answer in given.iter().filter(|a| a.criterion == *criterion.id()) {
                    let degree = degree(criterion.scale(), answer.judgement)
                        .ok_or("the judge's grade is not of the criterion's scale")?;
                    ballot.given.push((degree, answer));
                }
            }
            Err(reason) => ballot.failure = Some(reason.as_str()),
        }
    }
    Ok(ballot)
}

fn too_few(gaps: &[&Ballot<'_>], judges: usize) -> String {
    match gaps {
        [only] if judges == 1 => match only.failure {
            Some(reason) => format!("the judge gave no usable answer: {reason}"),
            None => "the judge was not asked".to_owned(),
        },
        _ => {
            let why = |gap: &&Ballot<'_>| format!("{}: {}", gap.judge, gap.why_empty());
            let whys: Vec<String> = gaps.iter().map(why).collect();
            format!(
                "{} of {judges} judges gave no usable answer: {}",
                gaps.len(),
                whys.join("; ")
            )
        }
    }
}

/// Makes one degree of several, at least one.
fn decided(criterion: &Criterion, aggregate: Aggregate, degrees: &[f64]) -> f64 {
    if criterion.safety() {
        let mean = degrees.iter().sum::<f64>() / degrees.len() as f64;
        let kept_by = kept_share(criterion, mean);
        f64::from(u8::from((kept_by > 0.5) == (criterion.worth() > 0.0)))
    } else {
        aggregated(rule_of(criterion, aggregate), degrees)
    }
}

/// Returns the share of judgements that say the criterion is kept; negative points are kept when
/// the text is not true.
fn kept_share(criterion: &Criterion, mean: f64) -> f64 {
    if criterion.worth() > 0.0 {
        mean
    } else {
        1.0 - mean
    }
}

fn degree(scale: &Scale, judgement: Judgement) -> Option<f64> {
    match (scale, judgement) {
        (Scale::Met | Scale::Points(_), Judgement::Met(met)) => Some(f64::from(u8::from(met))),
        (Scale::Levels(_), Judgement::Level(level @ 1..=5)) => Some(f64::from(level - 1) / 4.0),
        _ => None,
    }
}

fn word(judgement: Judgement) -> String {
    match judgement {
        Judgement::Met(true) => "met".to_owned(),
        Judgement::Met(false) => "not met".to_owned(),
        Judgement::Level(level) => format!("level {level}"),
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use shipworthy_schema::{Aggregate, Aggregation, ModelName};

    use super::{Degree, grades, judged_degree};
    use crate::sample::{LEVELS, rubric};
    use crate::{Criterion, JudgeAnswer, JudgeAnswers, JudgeResult, Judgement};

    fn degree_of(criterion: &Criterion, results: Vec<JudgeResult>) -> Degree {
        judged_degree(criterion, Aggregate::default(), &[judge("large", results)])
    }

    fn judge(name: &str, results: Vec<JudgeResult>) -> JudgeAnswers {
        JudgeAnswers {
            judge: ModelName::new(name).unwrap(),
            results,
        }
    }

    fn asked(judgements: &[Judgement]) -> Vec<JudgeResult> {
        let id = shipworthy_schema::CriterionId::new("a").unwrap();
        let result = |(n, judgement): (usize, &Judgement)| JudgeResult {
            repeat: u32::try_from(n).unwrap() + 1,
            criteria: vec![id.clone()],
            answers: Ok(vec![JudgeAnswer {
                criterion: id.clone(),
                judgement: *judgement,
                reason: format!("r{n}"),
            }]),
        };
        judgements.iter().enumerate().map(result).collect()
    }

    const YES: Judgement = Judgement::Met(true);
    const NO: Judgement = Judgement::Met(false);

    #[test_case("scale: met", &[YES], 1.0, "met: r0"; "met")]
    #[test_case("scale: met", &[YES, NO, NO, NO], 0.25, "met, not met, not met, not met: r1"; "mean of met")]
    #[test_case("safety: true", &[NO, YES, YES], 1.0, "not met, met, met: r1"; "safety by majority")]
    #[test_case("safety: true", &[YES, NO], 0.0, "met, not met: r1"; "safety tie is a violation")]
    #[test_case("safety: true, scale: {points: -3}", &[YES, NO], 1.0, "met, not met: r0"; "safety tie, negative points")]
    #[test_case("safety: true, scale: {points: -3}", &[YES, NO, NO], 0.0, "met, not met, not met: r1"; "safety kept, negative points")]
    #[test_case(LEVELS, &[Judgement::Level(1)], 0.0, "level 1: r0"; "lowest level")]
    #[test_case(LEVELS, &[Judgement::Level(5), Judgement::Level(4)], 0.875, "level 5, level 4: r0"; "mean of levels")]
    fn repeats_are_merged(fields: &str, judgements: &[Judgement], degree: f64, words: &str) {
        let rubric = rubric(&[&format!("id: a, text: T, {fields}")]);
        let (_, criterion) = rubric.criteria().next().unwrap();
        let found = degree_of(criterion, asked(judgements));
        assert_eq!(found, Ok((degree, words.to_owned())));
    }

    #[test]
    fn a_failed_repeat_leaves_the_others() {
        let rubric = rubric(&["id: a, text: T"]);
        let (_, criterion) = rubric.criteria().next().unwrap();
        let mut results = asked(&[YES, NO]);
        results[1].answers = Err("the answer is empty".to_owned());
        let found = degree_of(criterion, results.clone());
        assert_eq!(found, Ok((1.0, "met: r0".to_owned())));
        let kept = grades(criterion, &[judge("large", results.clone())]);
        let values: Vec<_> = kept
            .iter()
            .map(|grade| (grade.repeat, grade.value))
            .collect();
        assert_eq!(values, [(1, Some(1.0)), (2, None)]);
        assert_eq!(kept[1].reason, "the answer is empty");
        results.remove(0);
        let reason = "the judge gave no usable answer: the answer is empty";
        assert_eq!(degree_of(criterion, results), Err(reason.to_owned()));
        let reason = "the judge was not asked";
        assert_eq!(degree_of(criterion, vec![]), Err(reason.to_owned()));
        let reason = "the judge's grade is not of the criterion's scale";
        let wrong = asked(&[Judgement::Level(3)]);
        assert_eq!(degree_of(criterion, wrong), Err(reason.to_owned()));
    }

    #[test]
    fn every_judge_weighs_the_same_however_often_it_is_asked() {
        let rubric = rubric(&["id: a, text: T"]);
        let (_, criterion) = rubric.criteria().next().unwrap();
        let panel = [
            judge("large", asked(&[YES])),
            judge("often", asked(&[NO, NO, NO])),
        ];
        let words = "large met; often not met, not met, not met: r0".to_owned();
        let mean = judged_degree(criterion, Aggregate::default(), &panel);
        assert_eq!(mean, Ok((0.5, words)));
        let by_majority = Aggregate {
            met: Aggregation::Majority,
            ..Aggregate::default()
        };
        let three = [
            panel[0].clone(),
            panel[1].clone(),
            judge("third", asked(&[YES, YES, NO])),
        ];
        assert_eq!(
            judged_degree(criterion, by_majority, &three).unwrap().0,
            1.0
        );
    }

    #[test]
    fn more_than_half_of_the_judges_must_answer() {
        let rubric = rubric(&["id: a, text: T"]);
        let (_, criterion) = rubric.criteria().next().unwrap();
        let mut failed = asked(&[YES]);
        failed[0].answers = Err("timed out".to_owned());
        let panel = [
            judge("large", asked(&[YES])),
            judge("small", failed.clone()),
            judge("third", asked(&[NO])),
        ];
        let rule = Aggregate::default();
        let words = "large met; small no answer; third not met: r0".to_owned();
        assert_eq!(judged_degree(criterion, rule, &panel), Ok((0.5, words)));
        let reason = "1 of 2 judges gave no usable answer: small: timed out".to_owned();
        assert_eq!(judged_degree(criterion, rule, &panel[..2]), Err(reason));
    }

    #[test]
    fn judges_who_disagree_on_safety_find_a_violation() {
        let panel = [judge("large", asked(&[YES])), judge("small", asked(&[NO]))];
        for (fields, degree) in [
            ("safety: true", 0.0),
            ("safety: true, scale: {points: -3}", 1.0),
        ] {
            let rubric = rubric(&[&format!("id: a, text: T, {fields}")]);
            let (_, criterion) = rubric.criteria().next().unwrap();
            let found = judged_degree(criterion, Aggregate::default(), &panel).unwrap();
            assert_eq!(found.0, degree, "{fields}");
        }
    }
}
