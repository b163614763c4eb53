//! What models are asked before anybody relies on them: by `doctor`, and before each run.
//!
//! Every check ends in a [`Finding`]: passed, worked around (requests are sent otherwise, and the
//! report says so), doubtful (the report says what is lacking) or refused (nothing is evaluated). A
//! run keeps its findings, so that it is resumed and reported with the same ones.

mod arms;
mod behaviour;
mod checks;
mod company;
mod finding;
mod questions;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use serde::{Deserialize, Serialize};
use shipworthy_backends::{Adaptation, ChatModel, Parameter};
use shipworthy_schema::{
    Digest, ModelName, ModelRef, ModelSource, Plan, PreflightFinding, SimulatorPlan,
};
use thiserror::Error;

pub use self::behaviour::Behaviour;
pub(crate) use self::behaviour::recognise;
pub use self::checks::Purpose;
pub use self::finding::{Finding, Status};
use crate::preparation::Models;

/// What was found of the models of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Preflight {
    /// By role and name, e.g. `models.tuned`.
    pub models: BTreeMap<String, ExaminedModel>,
}

/// What was found of one model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExaminedModel {
    /// What was found, in the order in which it was looked at.
    pub findings: Vec<Finding>,
    /// How requests to it are sent.
    #[serde(default)]
    pub adaptation: Adaptation,
    /// How it behaves, by the digest of the first like it; `None` where nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behaviour: Option<Digest>,
}

/// Says that no evaluation can use a model.
#[derive(Debug, Error)]
#[error("{model}: {check}: {detail}")]
pub struct RefusedError {
    /// The model, by role and name.
    pub model: String,
    /// What was looked at.
    pub check: String,
    /// What was seen.
    pub detail: String,
    /// What a person can do about it.
    pub mend: Option<String>,
}

/// Looks at one model, whatever it is for; `doctor` does.
pub async fn examine(model: &dyn ChatModel, purpose: Purpose<'_>) -> Vec<Finding> {
    checks::examine(model, purpose).await.findings
}

/// Looks whether the models at one server differ; `doctor` does. `models`: name, what is served, and
/// the model.
pub async fn tell_apart(
    models: &[(&ModelName, &ModelSource, &dyn ChatModel)],
) -> Vec<(ModelName, Finding)> {
    let mut by_server: BTreeMap<&str, Vec<arms::Arm<'_>>> = BTreeMap::new();
    for (name, source, model) in models {
        if let ModelSource::Http { url, .. } = source {
            by_server.entry(url).or_default().push((name, *model));
        }
    }
    let compared = by_server
        .values()
        .filter(|arms| arms.len() > 1)
        .map(|arms| arms::compare(arms));
    join_all(compared).await.into_iter().flatten().collect()
}

/// Looks at the models of `plan` that are behind servers, and changes how requests are sent where
/// that is needed, the same for all models under test.
///
/// Models in this process have nothing that could differ from run to run. All models are asked at
/// the same time, as they will be in the run: what a server does with one seed under load is what
/// counts.
pub(crate) async fn preflight(plan: &Plan, models: &Models) -> Result<Preflight, RefusedError> {
    let subjects = subjects(plan, models);
    let examined = join_all(subjects.into_iter().map(async |subject| {
        let found = checks::examine(subject.model, subject.purpose).await;
        let found = ExaminedModel {
            findings: found.findings,
            adaptation: found.adaptation,
            behaviour: None,
        };
        (subject.name, found)
    }))
    .await;
    let mut preflight = Preflight {
        models: examined.into_iter().collect(),
    };
    preflight.check()?;
    let baseline_first = |name: &ModelName| (*name != plan.baseline, name.clone());
    let mut tested: Vec<_> = plan.models.iter().collect();
    tested.sort_by_key(|model| baseline_first(&model.name));
    let tested = tested.into_iter().filter_map(|planned| {
        let model = models.under_test.get(&planned.name)?;
        Some((&planned.name, &planned.source, model.as_ref()))
    });
    for (name, finding) in tell_apart(&tested.collect::<Vec<_>>()).await {
        if let Some(examined) = preflight.models.get_mut(&subject_name(&name)) {
            examined.findings.push(finding);
        }
    }
    preflight.same_for_all_arms(plan);
    preflight.check()?;
    preflight.apply(models);
    Ok(preflight)
}

impl Preflight {
    /// Changes how requests to `models` are sent as was found to be needed.
    pub(crate) fn apply(&self, models: &Models) {
        let adapt = |name: &str, model: &dyn ChatModel| {
            if let Some(examined) = self.models.get(name) {
                model.adapt(examined.adaptation.clone());
            }
        };
        for (name, model) in &models.under_test {
            adapt(&subject_name(name), model.as_ref());
        }
        if let Some(model) = &models.simulator {
            adapt(SIMULATOR, model.as_ref());
        }
        for (name, model) in &models.judges {
            adapt(&judge_name(name), model.as_ref());
        }
    }

    /// Returns how requests are sent otherwise than the plan says, the same for all models under test.
    pub(crate) fn adaptations(&self) -> Vec<String> {
        let mut found = BTreeSet::new();
        for (name, examined) in &self.models {
            let role = if name.starts_with("models.") {
                "models"
            } else {
                name
            };
            let Adaptation {
                fold_system,
                omit_schema,
                omit,
            } = &examined.adaptation;
            if *fold_system {
                found.insert(format!("{role}: system prompt in the first message"));
            }
            if *omit_schema {
                found.insert(format!("{role}: no JSON schema"));
            }
            for parameter in omit {
                found.insert(match parameter {
                    Parameter::MaxTokens => format!("{role}: `max_completion_tokens`"),
                    other => format!("{role}: no `{}`", other.name()),
                });
            }
        }
        found.into_iter().collect()
    }

    /// Returns what the reader of a report must know.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let of_model = |(name, examined): (&String, &ExaminedModel)| {
            let name = name.strip_prefix("models.").unwrap_or(name).to_owned();
            let notable = examined.findings.clone().into_iter();
            notable
                .filter(|finding| finding.status != Status::Passed)
                .map(move |Finding { check, detail, .. }| {
                    format!("preflight of `{name}`, {check}: {detail}.")
                })
        };
        self.models.iter().flat_map(of_model).collect()
    }

    /// Returns everything that was found, by model and in the order in which it was looked at.
    pub(crate) fn findings(&self) -> Vec<PreflightFinding> {
        let of_model = |(name, examined): (&String, &ExaminedModel)| {
            let finding = |finding: &Finding| PreflightFinding {
                model: name.clone(),
                check: finding.check.clone(),
                status: finding.status.word().replace('_', " "),
                detail: finding.detail.clone(),
            };
            examined.findings.iter().map(finding).collect::<Vec<_>>()
        };
        self.models.iter().flat_map(of_model).collect()
    }

    fn check(&self) -> Result<(), RefusedError> {
        for (model, examined) in &self.models {
            let refused = examined.findings.iter();
            let mut refused = refused.filter(|finding| finding.status == Status::Refused);
            if let Some(finding) = refused.next() {
                return Err(RefusedError {
                    model: model.clone(),
                    check: finding.check.clone(),
                    detail: finding.detail.clone(),
                    mend: finding.mend.clone(),
                });
            }
        }
        Ok(())
    }

    /// Asks all models under test as the one that needs it most: the arms of a comparison are asked
    /// alike.
    fn same_for_all_arms(&mut self, plan: &Plan) {
        let names: Vec<String> = plan.models.iter().map(|m| subject_name(&m.name)).collect();
        let arms = || names.iter().filter_map(|name| self.models.get(name));
        let fold_system = arms().any(|examined| examined.adaptation.fold_system);
        // Another name for the same bound is each server's own affair.
        let omit: BTreeSet<Parameter> = arms()
            .flat_map(|examined| examined.adaptation.omit.iter().copied())
            .filter(|parameter| *parameter != Parameter::MaxTokens)
            .collect();
        let in_process = names.iter().find(|name| !self.models.contains_key(*name));
        if let Some(name) = in_process {
            let finding = if fold_system {
                let detail = format!(
                    "a model refuses it and would get it at the head of the person's first \
                     message, but {name}, which is not behind a server, would not"
                );
                Finding::refused("system prompt", detail)
                    .mend("serve both models the same way, or leave `system_prompt` out")
            } else if let Some(parameter) = omit.first() {
                let detail = format!(
                    "a model refuses it and would be asked without, but {name}, which is not \
                     behind a server, would not"
                );
                Finding::refused(parameter.name(), detail).mend("serve both models the same way")
            } else {
                return;
            };
            let examined = self.models.entry(name.clone()).or_default();
            examined.findings.push(finding);
            return;
        }
        for name in &names {
            if let Some(examined) = self.models.get_mut(name) {
                examined.adaptation.fold_system = fold_system;
                for parameter in &omit {
                    if examined.adaptation.omit.insert(*parameter) {
                        let detail = "another model under test refuses it, so it is not sent here \
                                      either, and the server's own value counts";
                        let finding = Finding::worked_around(parameter.name(), detail);
                        examined.findings.push(finding);
                    }
                }
            }
        }
    }
}

const SIMULATOR: &str = "simulator";
fn subject_name(model: &ModelName) -> String {
    format!("models.{model}")
}

fn judge_name(judge: &ModelName) -> String {
    format!("judges.{judge}")
}

/// A model behind a server.
struct Subject<'a> {
    name: String,
    model: &'a dyn ChatModel,
    purpose: Purpose<'a>,
}

fn subjects<'a>(plan: &'a Plan, models: &'a Models) -> Vec<Subject<'a>> {
    let subject = |name, source: &'a ModelSource, model: &'a dyn ChatModel, purpose| match source {
        ModelSource::Http { .. } => Some(Subject {
            name,
            model,
            purpose,
        }),
        ModelSource::Gguf { .. } | ModelSource::Scripted { .. } => None,
    };
    let purpose = |max_tokens, needs_schema| Purpose {
        // Simulator and judge get prompts of their own.
        system_prompt: None,
        max_tokens,
        needs_schema,
        in_full: false,
    };
    let mut subjects = Vec::new();
    for planned in &plan.models {
        if let Some(model) = models.under_test.get(&planned.name) {
            let purpose = Purpose {
                system_prompt: plan.system_prompt.as_deref(),
                ..purpose(plan.sampling.max_tokens, false)
            };
            let name = subject_name(&planned.name);
            subjects.extend(subject(name, &planned.source, model.as_ref(), purpose));
        }
    }
    if let (
        SimulatorPlan::Llm {
            model: planned,
            sampling,
            ..
        },
        Some(model),
    ) = (&plan.simulator, &models.simulator)
    {
        let purpose = Purpose {
            // It is told by a system prompt whom to play.
            system_prompt: Some("You play a person who writes with a coach."),
            ..purpose(sampling.max_tokens, false)
        };
        let name = SIMULATOR.to_owned();
        subjects.extend(subject(name, &planned.source, model.as_ref(), purpose));
    }
    for planned in &plan.judges {
        let ModelRef { name, source } = &planned.model;
        if let Some(model) = models.judges.get(name) {
            let purpose = purpose(planned.sampling.max_tokens, true);
            subjects.extend(subject(judge_name(name), source, model.as_ref(), purpose));
        }
    }
    subjects
}
