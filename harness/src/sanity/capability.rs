//! What the base could do and the candidate no longer can: tasks, item by item.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shipworthy_stats::paired_proportions;

use super::answers::{Answers, TaskAnswers, Unasked};
use super::outcome::{CheckOutcome, Figures, SanityCheck, SanityStatus};
use super::request::SanityRequest;
use super::tasks::{Metric, PreparedTask, Questions};

/// What a task came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskFigures {
    /// Questions.
    pub items: usize,
    /// What the rule looks at, as lm-eval names it.
    pub metric: String,
    /// The base's share of right answers.
    pub base: f64,
    /// The candidate's share of right answers.
    pub candidate: f64,
    /// Candidate − base.
    pub difference: f64,
    /// Lower bound of the difference at 1 − alpha, one-sided.
    pub lower: f64,
    /// Upper bound of the difference at 1 − alpha, one-sided.
    pub upper: f64,
    /// How far the lower bound may be below 0.
    pub margin: f64,
    /// Questions that the base alone answers rightly.
    pub only_base: usize,
    /// Questions that the candidate alone answers rightly.
    pub only_candidate: usize,
    /// The task's metrics, with base's and candidate's shares.
    pub metrics: BTreeMap<String, [f64; 2]>,
    /// Every question with both arms' answers, where that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<ItemFigures>,
}

/// A question with both arms' answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemFigures {
    /// Which one it is: `arc.jsonl:12`.
    pub id: String,
    /// The base's answer.
    pub base: ItemAnswer,
    /// The candidate's answer.
    pub candidate: ItemAnswer,
}

/// What an arm answers to a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemAnswer {
    /// Whether it is right, by the metric that the rule looks at.
    pub right: bool,
    /// The log likelihood of each choice, in nats; empty where the answer is the model's own words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_likelihoods: Vec<f64>,
    /// What the model writes; `None` where answers are chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

const CHECK: SanityCheck = SanityCheck::Capability;

/// Judges every task: passed where the candidate is shown not to be worse by the margin, failed where
/// it is shown to be worse and the estimate is below the margin, else a warning.
pub(super) fn check(
    request: &SanityRequest,
    tasks: &[PreparedTask],
    base: &Result<Answers, Unasked>,
    candidate: &Result<Answers, Unasked>,
) -> Vec<CheckOutcome> {
    let outcomes = tasks
        .iter()
        .enumerate()
        .map(|(idx, task)| match (base, candidate) {
            (Ok(base), Ok(candidate)) => {
                judge(request, task, &base.tasks[idx], &candidate.tasks[idx])
            }
            (Err(why), _) | (_, Err(why)) => {
                CheckOutcome::new(CHECK, &task.task.name, why.status, why.reason.clone())
            }
        });
    outcomes.collect()
}

fn judge(
    request: &SanityRequest,
    task: &PreparedTask,
    base: &TaskAnswers,
    candidate: &TaskAnswers,
) -> CheckOutcome {
    let limits = &request.limits;
    let name = &task.task.name;
    let questions = &task.task.questions;
    let metric = task.task.metrics.first().copied().unwrap_or(Metric::Acc);
    let (of_base, of_candidate) = (
        right(questions, base, metric),
        right(questions, candidate, metric),
    );
    let items = of_base.len();
    let pairs = || of_base.iter().zip(&of_candidate);
    let only_base = pairs()
        .filter(|(base, candidate)| **base && !**candidate)
        .count();
    let only_candidate = pairs()
        .filter(|(base, candidate)| !**base && **candidate)
        .count();
    let found = paired_proportions(
        only_candidate as u64,
        only_base as u64,
        items as u64,
        1.0 - 2.0 * limits.alpha,
    );
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            return CheckOutcome::new(CHECK, name, SanityStatus::Warned, error.to_string());
        }
    };
    let metrics = task.task.metrics.iter().map(|metric| {
        let shares = [base, candidate].map(|arm| share(&right(questions, arm, *metric)));
        (metric.name().to_owned(), shares)
    });
    let figures = TaskFigures {
        items,
        metric: metric.name().to_owned(),
        base: share(&of_base),
        candidate: share(&of_candidate),
        difference: found.difference,
        lower: found.ci.lower,
        upper: found.ci.upper,
        margin: limits.max_accuracy_drop,
        only_base,
        only_candidate,
        metrics: metrics.collect(),
        answers: if request.answers {
            let arms = [(base, &of_base), (candidate, &of_candidate)];
            answers(questions, arms)
        } else {
            Vec::new()
        },
    };
    let (status, words) = verdict(&figures, limits.alpha);
    let detail = format!(
        "{} {:.3} -> {:.3} on {items} items ({:+.1} points, at least {:+.1}): {words}",
        figures.metric,
        figures.base,
        figures.candidate,
        figures.difference * 100.0,
        figures.lower * 100.0,
    );
    CheckOutcome::new(CHECK, name, status, detail).figures(Figures::Task(figures))
}

/// Applies the rule.
fn verdict(figures: &TaskFigures, alpha: f64) -> (SanityStatus, String) {
    let points = format!("{:.1} points", figures.margin * 100.0);
    if figures.lower > -figures.margin {
        return (SanityStatus::Passed, format!("not worse by {points}"));
    }
    if figures.difference < -figures.margin && figures.upper < 0.0 {
        return (
            SanityStatus::Failed,
            format!("worse, and by more than {points}"),
        );
    }
    let words = match fewest(figures.margin, alpha) {
        Some(fewest) if figures.items < fewest => format!(
            "too few items to show that it is not worse by {points}; at least {fewest} are needed"
        ),
        _ => format!("not shown that it is not worse by {points}"),
    };
    (SanityStatus::Warned, words)
}

/// Returns the items with which a candidate that answers all as the base does is shown not to be worse.
fn fewest(margin: f64, alpha: f64) -> Option<usize> {
    let shows = |items: &usize| {
        let found = paired_proportions(0, 0, *items as u64, 1.0 - 2.0 * alpha);
        found.is_ok_and(|found| found.ci.lower > -margin)
    };
    (1..=1 << 20)
        .map(|power| power * 10)
        .take(1000)
        .find(shows)
        .and_then(|most| (most.saturating_sub(9)..=most).find(shows))
}

fn share(right: &[bool]) -> f64 {
    right.iter().filter(|right| **right).count() as f64 / right.len().max(1) as f64
}

/// Tells of every question whether it is answered rightly.
fn right(questions: &Questions, answers: &TaskAnswers, metric: Metric) -> Vec<bool> {
    match (questions, answers) {
        (Questions::Choice(items), TaskAnswers::Choice(answers)) => {
            let pairs = items.iter().zip(answers);
            let is_right = pairs.map(|(item, likelihoods)| {
                let lengths = item.choices.iter().map(|choice| match metric {
                    Metric::AccNorm => choice.chars().count() as f64,
                    Metric::AccBytes => choice.len() as f64,
                    Metric::Acc | Metric::ExactMatch => 1.0,
                });
                let values = likelihoods
                    .iter()
                    .zip(lengths)
                    .map(|(one, length)| one / length);
                first_largest(values) == Some(item.gold)
            });
            is_right.collect()
        }
        (Questions::Generation(items, rules), TaskAnswers::Generation(answers)) => {
            let pairs = items.iter().zip(answers);
            let is_right = pairs.map(|(item, said)| {
                let mut golds = item.golds.iter();
                golds.any(|gold| rules.ignored.match_exactly(said, gold))
            });
            is_right.collect()
        }
        _ => Vec::new(),
    }
}

/// Returns the place of the largest value, the first of several.
fn first_largest(values: impl Iterator<Item = f64>) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (idx, value) in values.enumerate() {
        if best.is_none_or(|(_, largest)| value > largest) {
            best = Some((idx, value));
        }
    }
    best.map(|(idx, _)| idx)
}

fn answers(
    questions: &Questions,
    [base, candidate]: [(&TaskAnswers, &Vec<bool>); 2],
) -> Vec<ItemFigures> {
    let ids: Vec<&str> = match questions {
        Questions::Choice(items) => items.iter().map(|item| item.id.as_str()).collect(),
        Questions::Generation(items, _) => items.iter().map(|item| item.id.as_str()).collect(),
    };
    let answer = |(answers, right): (&TaskAnswers, &Vec<bool>), idx: usize| ItemAnswer {
        right: right[idx],
        log_likelihoods: match answers {
            TaskAnswers::Choice(likelihoods) => likelihoods[idx].clone(),
            TaskAnswers::Generation(_) => Vec::new(),
        },
        text: match answers {
            TaskAnswers::Choice(_) => None,
            TaskAnswers::Generation(said) => Some(said[idx].clone()),
        },
    };
    let items = ids.iter().enumerate().map(|(idx, id)| ItemFigures {
        id: (*id).to_owned(),
        base: answer(base, idx),
        candidate: answer(candidate, idx),
    });
    items.collect()
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::sanity::tasks::ChoiceItem;

    fn figures(items: usize, only_base: usize, only_candidate: usize) -> TaskFigures {
        let level = 0.90;
        let found =
            paired_proportions(only_candidate as u64, only_base as u64, items as u64, level);
        let found = found.unwrap();
        TaskFigures {
            items,
            metric: "acc".to_owned(),
            base: 0.5,
            candidate: 0.5 + found.difference,
            difference: found.difference,
            lower: found.ci.lower,
            upper: found.ci.upper,
            margin: 0.05,
            only_base,
            only_candidate,
            metrics: BTreeMap::new(),
            answers: Vec::new(),
        }
    }

    #[test_case(200, 4, 5, SanityStatus::Passed, "not worse by 5.0 points"; "as good")]
    #[test_case(52, 0, 0, SanityStatus::Passed, "not worse by"; "just enough items")]
    #[test_case(51, 0, 0, SanityStatus::Warned, "at least 52 are needed"; "one too few")]
    #[test_case(200, 30, 5, SanityStatus::Failed, "more than 5.0 points"; "much worse")]
    #[test_case(200, 16, 10, SanityStatus::Warned, "not shown"; "unclear")]
    #[test_case(1000, 60, 20, SanityStatus::Warned, "not shown"; "worse by less than the margin")]
    #[test_case(20, 3, 1, SanityStatus::Warned, "too few"; "few items, some lost")]
    fn the_rule(
        items: usize,
        only_base: usize,
        only_candidate: usize,
        status: SanityStatus,
        said: &str,
    ) {
        let figures = figures(items, only_base, only_candidate);
        let (found, words) = verdict(&figures, 0.05);
        assert_eq!(found, status, "{figures:?}: {words}");
        assert!(words.contains(said), "{words}");
    }

    #[test]
    fn lengths_count_as_they_should() {
        let item = ChoiceItem {
            id: "t:1".to_owned(),
            context: String::new(),
            delimiter: " ".to_owned(),
            choices: ["no", "certainly", "é!"].map(str::to_owned).to_vec(),
            gold: 1,
        };
        let questions = Questions::Choice(vec![item]);
        let rightly = |likelihoods: [f64; 3], metric| {
            let answers = TaskAnswers::Choice(vec![likelihoods.to_vec()]);
            right(&questions, &answers, metric)[0]
        };
        // By itself `no` is likelier, for its length `certainly` is.
        assert!(!rightly([-2.0, -6.0, -9.0], Metric::Acc));
        assert!(rightly([-2.0, -6.0, -9.0], Metric::AccNorm));
        // Two characters, three bytes.
        assert!(rightly([-9.0, -6.0, -1.5], Metric::AccNorm));
        assert!(!rightly([-9.0, -6.0, -1.5], Metric::AccBytes));
        // Of equals the first.
        assert!(!rightly([-2.0, -2.0, -3.0], Metric::Acc));
    }
}
