//! Scores of two runs beside each other. It describes: what a run comes to is decided in that run.

use shipworthy_schema::{ConversationScore, Gain, ModelName, ScoreDifference};

use super::arm::{Arm, Pairs, count, of_criterion, overall};
use super::{ComparisonError, Evidence};

/// A model in one run.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) evidence: Evidence<'a>,
    pub(crate) model: &'a ModelName,
}

impl<'a> Side<'a> {
    fn arm(&self) -> Result<Arm<'a>, ComparisonError> {
        Arm::of(&self.evidence, self.model)
    }
}

/// Returns the overall score of a model in two runs, then each criterion's; the model may be in one of
/// them only. Differences are taken only where the runs are `comparable`.
pub(crate) fn score_differences(
    sides: [Option<Side<'_>>; 2],
    comparable: bool,
) -> Result<Vec<ScoreDifference>, ComparisonError> {
    let [old, new] = sides.map(|side| side.map(|side| side.arm()).transpose());
    let (old, new) = (old?, new?);
    let Some(first) = old.as_ref().or(new.as_ref()) else {
        return Ok(Vec::new());
    };
    let outline = first.outline(new.as_ref().unwrap_or(first));
    let between = Between {
        old: old.as_ref(),
        new: new.as_ref(),
        comparable,
    };
    let mut scores = vec![between.score(None, overall)];
    scores.extend(outline.into_iter().map(|criterion| {
        let id = criterion.criterion.as_str();
        between.score(Some(id), of_criterion(id))
    }));
    Ok(scores)
}

struct Between<'a> {
    old: Option<&'a Arm<'a>>,
    new: Option<&'a Arm<'a>>,
    comparable: bool,
}

impl Between<'_> {
    fn score(
        &self,
        criterion: Option<&str>,
        value: impl Fn(&ConversationScore) -> Option<f64> + Copy,
    ) -> ScoreDifference {
        let mean = |arm: Option<&Arm<'_>>| {
            let means: Vec<f64> = arm?.persona_means(value).into_values().collect();
            shipworthy_stats::mean(&means).ok()
        };
        let pairs = match (self.old, self.new) {
            (Some(old), Some(new)) if self.comparable => new.pairs(old, value),
            _ => Pairs(Vec::new()),
        };
        ScoreDifference {
            criterion: criterion.map(str::to_owned),
            means: [mean(self.old), mean(self.new)],
            difference: pairs.means().map(|[old, new]| new - old),
            ci95: pairs.test().ok().map(|test| test.ci.ends()),
            personas: count(pairs.0.len()),
        }
    }
}

/// Returns the share of a model's scored conversations that pass; `None` without a score.
pub(crate) fn pass_rate(side: &Side<'_>) -> Result<Option<f64>, ComparisonError> {
    let arm = side.arm()?;
    Ok(arm.scored().next().is_some().then(|| arm.pass_rate()))
}

/// Returns the gain of a candidate over the baseline of its run; `None` without both.
pub(crate) fn gain(candidate: &Side<'_>) -> Result<Option<Gain>, ComparisonError> {
    let Evidence {
        baseline, models, ..
    } = candidate.evidence;
    if candidate.model == baseline || !models.contains(baseline) {
        return Ok(None);
    }
    let base = Arm::of(&candidate.evidence, baseline)?;
    let pairs = candidate.arm()?.pairs(&base, overall);
    Ok(pairs.means().map(|[baseline, own]| Gain {
        difference: own - baseline,
        ci95: pairs.test().ok().map(|test| test.ci.ends()),
    }))
}
