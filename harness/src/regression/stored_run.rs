//! The candidates of a run that the store has.

use shipworthy_schema::{ModelName, Regression};

use super::{Bar, Baseline, BaselineError, regression, rule_of};
use crate::config::RegressionConfig;
use crate::evaluation::{EvaluationError, record_looks};
use crate::store::{Run, Store};

/// Holds the candidates of a stored run against a shipped model, or against the run's own baseline.
///
/// The look is entered into the ledger, and each candidate is held to the gate's level divided by the
/// looks already taken at these people.
pub fn hold_against(
    store: &Store,
    run: &Run,
    margins: &RegressionConfig,
    baseline: Option<&Baseline>,
) -> Result<Regression, EvaluationError> {
    let plan = &run.plan;
    let found = store.preflight(&run.id)?.unwrap_or_default();
    if let Some(baseline) = baseline {
        baseline.check(plan, Some(&found))?;
    }
    let scores = store.scores(&run.id)?;
    let mut criteria: Vec<&str> = Vec::new();
    for score in scores.iter().flat_map(|score| &score.criteria) {
        if !criteria.contains(&score.criterion.as_str()) {
            criteria.push(&score.criterion);
        }
    }
    let rule = rule_of(margins, plan, &criteria)?;
    let ordinals = record_looks(store, &run.id, plan)?;
    let alpha_of = |model: &ModelName| {
        let ordinal = ordinals.get(model).copied().unwrap_or(1);
        plan.gate.alpha / f64::from(ordinal)
    };
    Ok(regression(
        plan, &found, &scores, baseline, &rule, &alpha_of,
    )?)
}

/// Holds the candidates of a run against the shipped model, and finishes the run.
pub(crate) async fn hold_and_finish(
    store: &Store,
    run: &str,
    bar: &Bar,
) -> Result<Regression, EvaluationError> {
    let Some(stored) = store.run(run)? else {
        let run = run.to_owned();
        return Err(EvaluationError::Incomplete { run });
    };
    match hold_against(store, &stored, &bar.margins, Some(&bar.baseline)) {
        Ok(regression) => {
            store.finish_run(run, regression.verdict()).await?;
            Ok(regression)
        }
        Err(EvaluationError::Baseline(BaselineError::Comparison(source))) => {
            store.put_invalid(run, &source.to_string()).await?;
            Err(EvaluationError::Invalid {
                run: run.to_owned(),
                source: source.into(),
            })
        }
        Err(error) => Err(error),
    }
}
