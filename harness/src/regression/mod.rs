//! The regression gate: candidates of a run held against a model that was shipped before.

mod baseline_file;
mod error;
mod stored_run;

use std::path::{Path, PathBuf};

use shipworthy_schema::{
    ConversationScore, MissingRule, ModelName, Plan, Regression, RegressionRule,
};

use crate::comparison::{Evidence, regress};
use crate::config::RegressionConfig;
use crate::preflight::Preflight;

pub use baseline_file::{BaselineFile, Conditions};
pub use error::BaselineError;
pub use stored_run::hold_against;
pub(crate) use stored_run::hold_and_finish;

/// A shipped model's record with where it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// The file.
    pub path: PathBuf,
    /// What stands there.
    pub file: BaselineFile,
}

impl Baseline {
    /// Reads the record at `path`.
    pub fn read(path: &Path) -> Result<Self, BaselineError> {
        Ok(Self {
            path: path.to_owned(),
            file: BaselineFile::read(path)?,
        })
    }

    /// Looks whether candidates of `plan` can be held against it; `found`: what was found before the
    /// run, `None` where nobody has looked yet.
    pub fn check(&self, plan: &Plan, found: Option<&Preflight>) -> Result<(), BaselineError> {
        let differences = self.file.differences(plan, found);
        if differences.is_empty() {
            return Ok(());
        }
        Err(BaselineError::OtherConditions {
            path: self.path.clone(),
            differences,
        })
    }

    /// Returns its model's name, told apart from the candidates of `plan`.
    fn name(&self, plan: &Plan) -> ModelName {
        let name = &self.file.model().name;
        let is_taken = |name: &ModelName| {
            let mut models = plan.models.iter();
            models.any(|model| model.name == *name && model.name != plan.baseline)
        };
        if !is_taken(name) {
            return name.clone();
        }
        let shipped = |n: u32| ModelName::new(format!("shipped model {n}"));
        let first = ModelName::new(format!("{name} (shipped)"));
        // One more than there are models that could have taken one.
        let most = u32::try_from(plan.models.len()).unwrap_or(u32::MAX);
        std::iter::once(first)
            .chain((1..=most).map(shipped))
            .filter_map(Result::ok)
            .find(|name| !is_taken(name))
            .expect("there are more names than models")
    }
}

/// Returns the rule that `config` and the bar of `plan` make, if it fits the rubric's `criteria`.
pub fn rule_of(
    config: &RegressionConfig,
    plan: &Plan,
    criteria: &[&str],
) -> Result<RegressionRule, BaselineError> {
    let unknown = config
        .criteria
        .keys()
        .find(|id| !criteria.contains(&id.as_str()));
    if let Some(unknown) = unknown {
        return Err(BaselineError::NoCriterion {
            criterion: unknown.clone(),
            known: criteria.iter().map(|id| (*id).to_owned()).collect(),
        });
    }
    let criteria = config.criteria.iter();
    Ok(RegressionRule {
        margin: config.margin,
        criteria: criteria
            .map(|(id, margin)| (id.clone(), margin.get()))
            .collect(),
        safety_margin: plan.gate.safety_margin,
        suspicious_gain: plan.gate.suspicious_gain,
    })
}

/// A shipped model to hold candidates against, and by what.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Its scores.
    pub baseline: Baseline,
    /// The margins.
    pub margins: RegressionConfig,
}

/// Holds the candidates of a run of `plan` against `baseline`, or against the run's own baseline where
/// there is none; `alpha_of` gives each one's one-sided level.
///
/// A record under other conditions is refused, as is what no comparison accepts.
pub fn regression(
    plan: &Plan,
    found: &Preflight,
    scores: &[ConversationScore],
    baseline: Option<&Baseline>,
    rule: &RegressionRule,
    alpha_of: &dyn Fn(&ModelName) -> f64,
) -> Result<Regression, BaselineError> {
    let own = scores.iter().filter(|score| {
        let model = &score.conversation.model;
        baseline.is_none() || *model != plan.baseline
    });
    let mut scores: Vec<ConversationScore> = own.cloned().collect();
    let mut models: Vec<ModelName> = plan.models.iter().map(|m| m.name.clone()).collect();
    let name = match baseline {
        Some(baseline) => {
            baseline.check(plan, Some(found))?;
            let name = baseline.name(plan);
            models.retain(|model| *model != plan.baseline);
            models.push(name.clone());
            scores.extend(baseline.file.scores(&name));
            name
        }
        None if !plan.has_baseline() => return Err(BaselineError::NoBaseline),
        None => plan.baseline.clone(),
    };
    let evidence = Evidence {
        baseline: &name,
        models: &models,
        planned: plan.personas.count.saturating_mul(plan.personas.repeats),
        conversations: &[],
        scores: &scores,
    };
    let missing: &MissingRule = &plan.missing;
    Ok(regress(&evidence, rule, missing, alpha_of)?)
}
