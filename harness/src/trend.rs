//! A metric over the runs of a store, run by run and model by model.

use shipworthy_schema::{Digest, ModelName, Trend, TrendMetric, TrendPoint, TrendSeries};
use thiserror::Error;

use crate::comparison::{ComparisonError, Evidence, Side, gain, pass_rate, score_differences};
use crate::regression::Conditions;
use crate::store::{Run, RunState, Store, StoreError};

/// Says why there is no trend.
#[derive(Debug, Error)]
pub enum TrendError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No run has the model.
    #[error("no run with a verdict has a model `{model}`; there are {}", quoted(.known))]
    NoModel {
        /// The model asked for.
        model: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// No run scores the criterion.
    #[error("no run with a verdict has a score on a criterion `{criterion}`; there are {}", quoted(.known))]
    NoCriterion {
        /// The criterion asked for.
        criterion: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// The scores of a run are not what can be averaged.
    #[error("run {run}: {source}")]
    Scores {
        /// The run.
        run: String,
        /// Why.
        source: ComparisonError,
    },
}

fn quoted(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        format!("`{}`", names.join("`, `"))
    }
}

/// Follows `metric` over the runs of `store` that have a verdict; `only`: of this model alone.
///
/// Runs stand in one series where everything but the models and the rule is the same.
pub fn trend(store: &Store, metric: &TrendMetric, only: Option<&str>) -> Result<Trend, TrendError> {
    let shards = store.shard_runs()?;
    let runs = store.runs()?;
    let whole = runs
        .iter()
        .filter(|run| !run.plan.is_generation())
        .filter(|run| !shards.iter().any(|shard| shard.run.id == run.id));
    let (finished, others): (Vec<&Run>, Vec<&Run>) =
        whole.partition(|run| matches!(run.state, RunState::Finished { .. }));
    let mut trend = Trend {
        metric: metric.clone(),
        series: Vec::new(),
        left_out: others.iter().map(|run| run.id.clone()).collect(),
    };
    let (mut models, mut criteria) = (Vec::new(), Vec::new());
    // The latest first, so that series come in the order of their latest runs.
    for run in finished {
        let found = store.preflight(&run.id)?.unwrap_or_default();
        let conditions = serde_json::to_vec(&Conditions::of(&run.plan, &found));
        let conditions = Digest::of(&conditions.expect("conditions are plain data"));
        let points = points(store, run, metric, &mut criteria)?;
        models.extend(points.iter().map(|(name, _)| name.to_string()));
        let points = points.into_iter();
        let points = points.filter(|(name, _)| only.is_none_or(|only| name.as_str() == only));
        let known = trend.series.iter().position(|s| s.conditions == conditions);
        let at = known.unwrap_or_else(|| {
            trend.series.push(TrendSeries {
                conditions,
                runs: Vec::new(),
                models: Vec::new(),
            });
            trend.series.len() - 1
        });
        trend.series[at].runs.push(run.id.clone());
        for (name, point) in points {
            trend.series[at].add(name, point);
        }
    }
    for names in [&mut models, &mut criteria] {
        names.sort_unstable();
        names.dedup();
    }
    if let TrendMetric::Criterion(criterion) = metric
        && !criteria.contains(criterion)
    {
        let criterion = criterion.clone();
        let known = criteria;
        return Err(TrendError::NoCriterion { criterion, known });
    }
    if let Some(model) = only.filter(|only| !models.iter().any(|model| model == only)) {
        let model = model.to_owned();
        let known = models;
        return Err(TrendError::NoModel { model, known });
    }
    trend.series.retain(|series| !series.models.is_empty());
    for series in &mut trend.series {
        series.runs.reverse();
        series.models.sort_by(|a, b| a.model.cmp(&b.model));
        for model in &mut series.models {
            model.points.reverse();
        }
    }
    Ok(trend)
}

/// Returns the models of a run that have the metric with their values; adds its criteria to `criteria`.
fn points(
    store: &Store,
    run: &Run,
    metric: &TrendMetric,
    criteria: &mut Vec<String>,
) -> Result<Vec<(ModelName, TrendPoint)>, TrendError> {
    let plan = &run.plan;
    let scores = store.scores(&run.id)?;
    let models: Vec<ModelName> = plan.models.iter().map(|m| m.name.clone()).collect();
    let evidence = Evidence {
        baseline: &plan.baseline,
        models: &models,
        planned: plan.personas.count.saturating_mul(plan.personas.repeats),
        conversations: &[],
        scores: &scores,
    };
    if let Some(score) = scores.first() {
        criteria.extend(score.criteria.iter().map(|c| c.criterion.clone()));
    }
    let mut points = Vec::new();
    for planned in &plan.models {
        let model = &planned.name;
        if *metric == TrendMetric::Gain && *model == plan.baseline {
            continue;
        }
        let side = Side { evidence, model };
        let (value, ci95) = value(&side, metric).map_err(|source| TrendError::Scores {
            run: run.id.clone(),
            source,
        })?;
        let point = TrendPoint {
            run: run.id.clone(),
            created_at: run.created_at.clone(),
            identity: planned.source.identity(),
            value,
            ci95,
        };
        points.push((model.clone(), point));
    }
    Ok(points)
}

/// A value, and its interval where it has one.
type Value = (Option<f64>, Option<[f64; 2]>);

fn value(side: &Side<'_>, metric: &TrendMetric) -> Result<Value, ComparisonError> {
    let criterion = match metric {
        TrendMetric::PassRate => return Ok((pass_rate(side)?, None)),
        TrendMetric::Gain => {
            let gain = gain(side)?;
            return Ok((
                gain.map(|gain| gain.difference),
                gain.and_then(|gain| gain.ci95),
            ));
        }
        TrendMetric::Score => None,
        TrendMetric::Criterion(id) => Some(id),
    };
    let scores = score_differences([Some(*side), None], false)?;
    let found = scores.iter().find(|s| s.criterion.as_ref() == criterion);
    Ok((found.and_then(|score| score.means[0]), None))
}
