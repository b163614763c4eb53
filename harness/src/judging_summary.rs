//! How the judges did: what they took, what they left out, and how far they agree.

use std::collections::{BTreeMap, BTreeSet};

use shipworthy_schema::{
    ConversationScore, CriterionAgreement, CriterionScore, JudgeGrade, JudgePlan, JudgeSummary,
    JudgedModel, JudgingSummary, ModelName, PersonaId, Plan, Raters,
};
use shipworthy_stats::clustered_alpha;

/// Least alpha on which Krippendorff would rest even tentative conclusions (2019, ch. 12).
const LEAST_ALPHA: f64 = 0.667;

/// Share of equal pairs from which a low alpha is taken for what it is with grades that hardly vary.
const MOSTLY_EQUAL: f64 = 0.9;

/// Resamples of an alpha's interval.
const RESAMPLES: usize = 2000;

/// Seed of the resamples; fixed, so that equal grades give equal bytes.
const SEED: u64 = 20_250_907;

/// Grades closer than this are equal: means of the same grades may differ by rounding.
const ROUNDING: f64 = 1e-9;

/// Returns how the judges of `plan` did; `None` without one.
pub(crate) fn judging_summary(plan: &Plan, scores: &[ConversationScore]) -> Option<JudgingSummary> {
    if plan.judges.is_empty() {
        return None;
    }
    let mut seen = BTreeSet::new();
    let criteria: Vec<&str> = scores
        .iter()
        .flat_map(|score| &score.criteria)
        .filter(|criterion| !criterion.grades.is_empty())
        .map(|criterion| criterion.criterion.as_str())
        .filter(|id| seen.insert(*id))
        .collect();
    let mut raters = Vec::new();
    if plan.judges.len() > 1 {
        raters.push(Raters::Judges);
    }
    let repeated = plan.judges.iter().filter(|judge| judge.repeats > 1);
    raters.extend(repeated.map(|judge| Raters::Repeats {
        judge: judge.model.name.clone(),
    }));
    let agreement = raters.iter().flat_map(|raters| {
        let of = |criterion: &&str| agreement(criterion, raters, scores);
        criteria.iter().filter_map(of).collect::<Vec<_>>()
    });
    Some(JudgingSummary {
        judges: plan
            .judges
            .iter()
            .map(|judge| summary(judge, plan, scores))
            .collect(),
        agreement: agreement.collect(),
    })
}

fn summary(judge: &JudgePlan, plan: &Plan, scores: &[ConversationScore]) -> JudgeSummary {
    let name = &judge.model.name;
    let calls: Vec<_> = scores
        .iter()
        .flat_map(|score| &score.judge_calls)
        .filter(|calls| calls.judge == *name)
        .collect();
    let candidates = plan.models.iter().map(|model| &model.name);
    let candidates = candidates.filter(|model| **model != plan.baseline);
    JudgeSummary {
        judge: name.clone(),
        calls: calls.iter().map(|calls| u64::from(calls.calls)).sum(),
        prompt_tokens: calls.iter().map(|calls| calls.prompt_tokens).sum(),
        completion_tokens: calls.iter().map(|calls| calls.completion_tokens).sum(),
        models: std::iter::once(&plan.baseline)
            .chain(candidates)
            .map(|model| judged(name, model, scores))
            .collect(),
    }
}

fn judged(judge: &ModelName, model: &ModelName, scores: &[ConversationScore]) -> JudgedModel {
    let of_model = scores.iter().filter(|s| s.conversation.model == *model);
    let grades: Vec<&JudgeGrade> = of_model
        .flat_map(|score| &score.criteria)
        .flat_map(|criterion| &criterion.grades)
        .filter(|grade| grade.judge == *judge)
        .collect();
    let values: Vec<f64> = grades.iter().filter_map(|grade| grade.value).collect();
    JudgedModel {
        model: model.clone(),
        wanted: count(grades.len()),
        gaps: count(grades.len() - values.len()),
        mean: shipworthy_stats::mean(&values).ok(),
    }
}

/// Returns how far the raters agree on a criterion; `None` if no conversation has two judgements.
fn agreement(
    criterion: &str,
    raters: &Raters,
    scores: &[ConversationScore],
) -> Option<CriterionAgreement> {
    let mut items: BTreeMap<&PersonaId, Vec<Vec<f64>>> = BTreeMap::new();
    for score in scores {
        let graded = score.criteria.iter().find(|c| c.criterion == criterion);
        let ratings = graded
            .map(|graded| ratings(graded, raters))
            .unwrap_or_default();
        if ratings.len() > 1 {
            let persona = &score.conversation.persona;
            items.entry(persona).or_default().push(ratings);
        }
    }
    let clusters: Vec<Vec<Vec<f64>>> = items.into_values().collect();
    let conversations = clusters.iter().map(Vec::len).sum();
    let equal = equal_share(&clusters)?;
    let alpha = clustered_alpha(&clusters, RESAMPLES, 0.95, SEED).ok();
    let is_poor = alpha.is_some_and(|a| a.alpha < LEAST_ALPHA) && equal < MOSTLY_EQUAL;
    Some(CriterionAgreement {
        criterion: criterion.to_owned(),
        raters: raters.clone(),
        conversations: count(conversations),
        equal,
        alpha: alpha.map(|alpha| alpha.alpha),
        alpha_ci95: alpha.and_then(|alpha| alpha.ci).map(|ci| ci.ends()),
        is_poor,
    })
}

/// Returns the raters' values of one conversation.
fn ratings(graded: &CriterionScore, raters: &Raters) -> Vec<f64> {
    match raters {
        Raters::Repeats { judge } => {
            let own = graded.grades.iter().filter(|grade| grade.judge == *judge);
            own.filter_map(|grade| grade.value).collect()
        }
        Raters::Judges => {
            let mut by_judge: BTreeMap<&ModelName, Vec<f64>> = BTreeMap::new();
            for grade in &graded.grades {
                by_judge
                    .entry(&grade.judge)
                    .or_default()
                    .extend(grade.value);
            }
            let means = by_judge.into_values();
            means
                .filter_map(|values| shipworthy_stats::mean(&values).ok())
                .collect()
        }
    }
}

/// Returns the share of pairs of ratings of one item that are equal; `None` without a pair.
fn equal_share(clusters: &[Vec<Vec<f64>>]) -> Option<f64> {
    let (mut pairs, mut equal) = (0_u64, 0_u64);
    for item in clusters.iter().flatten() {
        for (first, a) in item.iter().enumerate() {
            for b in &item[first + 1..] {
                pairs += 1;
                equal += u64::from((a - b).abs() <= ROUNDING);
            }
        }
    }
    (pairs > 0).then(|| equal as f64 / pairs as f64)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
