//! What people say of a run's conversations, held against the judges.

use std::collections::{BTreeMap, BTreeSet};

use shipworthy_rubrics::{Criterion, Method, Rubric, Scale};
use shipworthy_schema::{
    CandidateComparison, ConversationId, ConversationScore, Evaluation, HumanAgreement, HumanCheck,
    HumanConflict, HumanDifference, HumanLabel, HumanRater, HumanValue, PersonaId,
};
use shipworthy_stats::{
    KappaWeights, clustered_alpha, clustered_kappa, gwet_ac1, mean, paired_t,
    prediction_powered_mean,
};

/// Kappa below which the reader is warned: at most fair agreement (Landis & Koch 1977).
const LEAST_KAPPA: f64 = 0.4;

/// Share of equal grades from which a low kappa is taken for what it is with grades that hardly vary.
const MOSTLY_EQUAL: f64 = 0.9;

/// Share of the scale from which two grades are a conflict.
const CONFLICT: f64 = 0.5;

/// Grades closer than this are equal: means of the same grades may differ by rounding.
const ROUNDING: f64 = 1e-9;

/// Resamples of an interval.
const RESAMPLES: usize = 2000;

/// Seed of the resamples; fixed, so that equal labels give equal bytes.
const SEED: u64 = 20_251_121;

/// What people gave one criterion of one conversation, in the order of their names.
type Given<'a> = Vec<(&'a str, f64)>;

/// Labels by conversation and criterion.
type Labels<'a> = BTreeMap<&'a ConversationId, BTreeMap<&'a str, Given<'a>>>;

/// Returns what `labels` say of `evaluation`; `None` if nobody graded any of its conversations.
pub(crate) fn human_check(
    evaluation: &Evaluation,
    rubric: &Rubric,
    labels: &[HumanLabel],
) -> Option<HumanCheck> {
    let scores: BTreeMap<&ConversationId, &ConversationScore> = evaluation
        .scores
        .iter()
        .map(|score| (&score.conversation, score))
        .collect();
    let mut given: Labels<'_> = BTreeMap::new();
    let mut raters: BTreeMap<&str, BTreeSet<&ConversationId>> = BTreeMap::new();
    for label in labels {
        for grade in &label.grades {
            if let (Some(value), true) = (grade.value, scores.contains_key(&label.conversation)) {
                let of_conversation = given.entry(&label.conversation).or_default();
                let of_criterion = of_conversation.entry(&grade.criterion).or_default();
                of_criterion.push((&label.rater, value));
                let seen = raters.entry(&label.rater).or_default();
                seen.insert(&label.conversation);
            }
        }
    }
    if given.is_empty() {
        return None;
    }
    let judged = rubric.criteria().map(|(_, criterion)| criterion);
    let judged = judged.filter(|criterion| *criterion.method() == Method::Judge);
    let criteria: Vec<&Criterion> = judged.collect();
    let agreement = criteria
        .iter()
        .filter_map(|criterion| agreement(criterion, &given, &scores));
    Some(HumanCheck {
        raters: raters
            .into_iter()
            .map(|(rater, seen)| HumanRater {
                rater: rater.to_owned(),
                conversations: count(seen.len()),
            })
            .collect(),
        conversations: count(given.len()),
        criteria: agreement.collect(),
        differences: evaluation
            .comparison
            .candidates
            .iter()
            .filter_map(|candidate| difference(evaluation, rubric, candidate, &given, &scores))
            .collect(),
        conflicts: conflicts(&criteria, &given, &scores),
    })
}

/// Returns what a reader must know first of `check`.
pub(crate) fn human_warnings(check: &HumanCheck) -> Vec<String> {
    let poor = check.criteria.iter().filter(|criterion| criterion.is_poor);
    let mut warnings: Vec<String> = poor
        .map(|criterion| {
            format!(
                "the judges agree little with people on `{}`: Cohen's kappa {:.2} over {} pairs of \
                 grades",
                criterion.criterion,
                criterion.kappa.unwrap_or_default(),
                criterion.pairs
            )
        })
        .collect();
    let turned = check.differences.iter().filter_map(|difference| {
        let corrected = difference.corrected?;
        (corrected <= 0.0 && difference.judged_of_all > 0.0).then(|| {
            format!(
                "corrected by what people say of {} personas, the gain of {:.3} of {} is {corrected:.3}",
                difference.labelled, difference.judged_of_all, difference.model
            )
        })
    });
    warnings.extend(turned);
    warnings
}

/// Returns the judges' value of a criterion; `None` without one.
fn judged_value(score: &ConversationScore, criterion: &str) -> Option<f64> {
    let scored = score.criteria.iter().find(|c| c.criterion == criterion)?;
    scored.outcome.value()
}

/// Returns how far the judges and people agree on a criterion; `None` if nobody graded it.
fn agreement(
    criterion: &Criterion,
    given: &Labels<'_>,
    scores: &BTreeMap<&ConversationId, &ConversationScore>,
) -> Option<HumanAgreement> {
    let id = criterion.id().as_str();
    let (categories, weights) = match criterion.scale() {
        Scale::Met | Scale::Points(_) => (2, KappaWeights::Equal),
        Scale::Levels(_) => (5, KappaWeights::Quadratic),
    };
    let mut pairs: BTreeMap<&PersonaId, Vec<(usize, usize)>> = BTreeMap::new();
    let mut shared: BTreeMap<&PersonaId, Vec<Vec<f64>>> = BTreeMap::new();
    let mut is_graded = false;
    for (conversation, by_criterion) in given {
        let Some(people) = by_criterion.get(id) else {
            continue;
        };
        is_graded = true;
        let persona = &conversation.persona;
        if let Some(judged) = scores.get(conversation).and_then(|s| judged_value(s, id)) {
            let judged = category(judged, categories);
            let of_persona = pairs.entry(persona).or_default();
            of_persona.extend(
                people
                    .iter()
                    .map(|(_, v)| (judged, category(*v, categories))),
            );
        }
        if people.len() > 1 {
            let values = people.iter().map(|(_, value)| *value).collect();
            shared.entry(persona).or_default().push(values);
        }
    }
    if !is_graded {
        return None;
    }
    let pairs: Vec<Vec<(usize, usize)>> = pairs.into_values().collect();
    let (judged, human): (Vec<usize>, Vec<usize>) = pairs.iter().flatten().copied().unzip();
    let equal = judged.iter().zip(&human).filter(|(a, b)| a == b).count();
    let equal = (!judged.is_empty()).then(|| equal as f64 / judged.len() as f64);
    let bootstrap = (RESAMPLES, 0.95);
    let kappa = clustered_kappa(&pairs, categories, weights, bootstrap, SEED).ok();
    let shared: Vec<Vec<Vec<f64>>> = shared.into_values().collect();
    let alpha = clustered_alpha(&shared, RESAMPLES, 0.95, SEED).ok();
    Some(HumanAgreement {
        criterion: id.to_owned(),
        pairs: count(judged.len()),
        equal,
        kappa: kappa.map(|kappa| kappa.kappa),
        kappa_ci95: kappa.and_then(|kappa| kappa.ci).map(|ci| ci.ends()),
        ac1: gwet_ac1(&judged, &human, categories).ok(),
        shared: count(shared.iter().map(Vec::len).sum()),
        alpha: alpha.map(|alpha| alpha.alpha),
        alpha_ci95: alpha.and_then(|alpha| alpha.ci).map(|ci| ci.ends()),
        is_poor: kappa.is_some_and(|kappa| kappa.kappa < LEAST_KAPPA)
            && equal.is_some_and(|equal| equal < MOSTLY_EQUAL),
    })
}

/// Returns the category nearest to a value in [0, 1]: the mean of several judges may lie between
/// two, and one half way counts as the worse.
fn category(value: f64, categories: usize) -> usize {
    let highest = categories - 1;
    (0..highest)
        .find(|&category| value * highest as f64 <= category as f64 + 0.5 + ROUNDING)
        .unwrap_or(highest)
}

/// Returns what the labels say of a candidate's difference; `None` without a labelled pair.
fn difference(
    evaluation: &Evaluation,
    rubric: &Rubric,
    candidate: &CandidateComparison,
    given: &Labels<'_>,
    scores: &BTreeMap<&ConversationId, &ConversationScore>,
) -> Option<HumanDifference> {
    // By persona: differences by people's and by the judges' grades of the same conversations.
    let mut labelled: BTreeMap<&PersonaId, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for conversation in given.keys().filter(|id| id.model == candidate.model) {
        let twin = ConversationId {
            model: evaluation.plan.baseline.clone(),
            ..(*conversation).clone()
        };
        let human = |id| human_score(evaluation, rubric, id, given, scores);
        let judged = |id| scores.get(id).and_then(|score| score.overall.value());
        let both = (
            human(conversation).zip(human(&twin)),
            judged(*conversation).zip(judged(&twin)),
        );
        if let (Some((human, human_base)), Some((judged, judged_base))) = both {
            let (people, judges) = labelled.entry(&conversation.persona).or_default();
            people.push(human - human_base);
            judges.push(judged - judged_base);
        }
    }
    let (mut human, mut judged) = (Vec::new(), Vec::new());
    // As the corrected difference takes them: the judges' difference of a persona is that of all its
    // conversations, and people's is as far from it as on the labelled ones.
    let (mut human_of_persona, mut judged_of_persona) = (Vec::new(), Vec::new());
    let (mut rest, mut all) = (Vec::new(), Vec::new());
    for pair in &candidate.pairs {
        let difference = pair.candidate - pair.baseline;
        all.push(difference);
        if let Some((people, judges)) = labelled.get(&pair.persona) {
            let (people, judges) = (mean(people).ok()?, mean(judges).ok()?);
            human.push(people);
            judged.push(judges);
            human_of_persona.push(difference + people - judges);
            judged_of_persona.push(difference);
        } else {
            rest.push(difference);
        }
    }
    let of = prediction_powered_mean(&human_of_persona, &judged_of_persona, &rest, 0.95).ok();
    let corrected = of.filter(|_| !evaluation.plan.judges.is_empty());
    Some(HumanDifference {
        model: candidate.model.clone(),
        labelled: count(human.len()),
        personas: count(all.len()),
        judged_of_all: mean(&all).ok()?,
        judged: mean(&judged).ok()?,
        human: mean(&human).ok()?,
        human_ci95: paired_t(&human, 0.95).ok().map(|test| test.ci.ends()),
        corrected: corrected.map(|corrected| corrected.estimate),
        corrected_ci95: corrected.map(|corrected| corrected.ci.ends()),
    })
}

/// Returns the overall score of a conversation with people's grades in place of the judges'; `None`
/// unless people graded every criterion that needs a reader.
fn human_score(
    evaluation: &Evaluation,
    rubric: &Rubric,
    id: &ConversationId,
    given: &Labels<'_>,
    scores: &BTreeMap<&ConversationId, &ConversationScore>,
) -> Option<f64> {
    let by_criterion = given.get(id)?;
    let conversation = evaluation.conversations.iter().find(|c| c.id == *id)?;
    let persona = evaluation.personas.iter().find(|p| p.id == id.persona)?;
    let value = |criterion: &str| {
        let values = by_criterion.get(criterion)?.iter();
        let values: Vec<f64> = values.map(|(_, value)| *value).collect();
        mean(&values).ok()
    };
    let asked = rubric.judged_criteria(persona, conversation);
    let is_whole = asked.iter().all(|c| value(c.id().as_str()).is_some());
    if !is_whole {
        return None;
    }
    rubric.rescored(scores.get(id)?, value).value()
}

/// Returns grades that are far apart, the widest first.
fn conflicts(
    criteria: &[&Criterion],
    given: &Labels<'_>,
    scores: &BTreeMap<&ConversationId, &ConversationScore>,
) -> Vec<HumanConflict> {
    let mut conflicts = Vec::new();
    for (conversation, by_criterion) in given {
        for id in criteria.iter().map(|criterion| criterion.id().as_str()) {
            let Some(people) = by_criterion.get(id) else {
                continue;
            };
            let judged = scores.get(conversation).and_then(|s| judged_value(s, id));
            let values = people.iter().map(|(_, value)| *value).chain(judged);
            let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), value| {
                (a.min(value), b.max(value))
            });
            let gap = most - least;
            if gap >= CONFLICT - ROUNDING {
                conflicts.push(HumanConflict {
                    conversation: (*conversation).clone(),
                    criterion: id.to_owned(),
                    judged,
                    people: people
                        .iter()
                        .map(|(rater, value)| HumanValue {
                            rater: (*rater).to_owned(),
                            value: *value,
                        })
                        .collect(),
                    gap,
                });
            }
        }
    }
    conflicts.sort_by(|a, b| b.gap.total_cmp(&a.gap));
    conflicts
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::category;

    #[test_case(0.0, 2 => 0)]
    #[test_case(0.5, 2 => 0; "a tie of two judges is not met")]
    #[test_case(0.6, 2 => 1)]
    #[test_case(1.0, 2 => 1)]
    #[test_case(0.0, 5 => 0)]
    #[test_case(0.375, 5 => 1; "half way counts as the worse")]
    #[test_case(0.4, 5 => 2)]
    #[test_case(1.0, 5 => 4)]
    fn a_value_has_a_category(value: f64, categories: usize) -> usize {
        category(value, categories)
    }
}
