use serde::{Deserialize, Serialize};
use shipworthy_backends::{ChatModel, Fingerprint};
use shipworthy_schema::{Digest, ModelSource, Plan, SimulatorPlan};

use super::arms::TOLERANCE;
use super::questions::{OPENINGS, patiently};
use super::{Preflight, SIMULATOR, judge_name, subject_name};
use crate::preparation::Models;
use crate::reuse::ReusePolicy;
use crate::store::{Store, StoreError};

/// How a model goes on from some prompts without chance: tells other weights under the same name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Behaviour(Vec<GoesOn>);

/// What it says after one prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct GoesOn {
    text: String,
    log_probs: Vec<f64>,
}

impl Behaviour {
    /// Returns `None` where the model does not tell.
    async fn of(model: &dyn ChatModel) -> Option<Self> {
        let mut all = Vec::new();
        for prompt in OPENINGS {
            let print = patiently(|| model.fingerprint(prompt)).await.ok()??;
            let Fingerprint { text, log_probs } = print;
            all.push(GoesOn { text, log_probs });
        }
        Some(Self(all))
    }

    /// Tells whether both may be one model's, however its server batches requests.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let print = |it: &GoesOn| Fingerprint {
            text: it.text.clone(),
            log_probs: it.log_probs.clone(),
        };
        let mut pairs = self.0.iter().zip(&other.0);
        self.0.len() == other.0.len()
            && pairs.all(|(a, b)| print(a).distance(&print(b)) <= TOLERANCE)
    }
}

/// Looks how the models behind servers that the configuration vouches for behave, and notes it in
/// `found`: by the first behaviour like it that `store` knows of what is served there.
pub(crate) async fn recognise(
    found: &mut Preflight,
    plan: &Plan,
    models: &Models,
    policy: &ReusePolicy,
    store: &Store,
) -> Result<(), StoreError> {
    let mut vouched = Vec::new();
    for model in &plan.models {
        let opened = models.under_test.get(&model.name);
        vouched.push((subject_name(&model.name), &model.source, opened));
    }
    if let SimulatorPlan::Llm { model, .. } = &plan.simulator {
        let opened = models.simulator.as_ref();
        vouched.push((SIMULATOR.to_owned(), &model.source, opened));
    }
    for judge in &plan.judges {
        let (name, source) = (&judge.model.name, &judge.model.source);
        vouched.push((judge_name(name), source, models.judges.get(name)));
    }
    for (subject, source, opened) in vouched {
        let (ModelSource::Http { .. }, Some(model)) = (source, opened) else {
            continue;
        };
        if !policy.is_reusable(&subject) {
            continue;
        }
        if let Some(behaviour) = Behaviour::of(model.as_ref()).await {
            let known: Digest = store.recognise(&source.identity(), &behaviour)?;
            found.models.entry(subject).or_default().behaviour = Some(known);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Behaviour, GoesOn};

    #[test]
    fn noise_is_no_other_model() {
        let says = |text: &str, log_prob: f64| {
            Behaviour(vec![GoesOn {
                text: text.to_owned(),
                log_probs: vec![log_prob],
            }])
        };
        assert!(says("a", -0.5).is_like(&says("a", -0.5004)));
        assert!(!says("a", -0.5).is_like(&says("a", -0.6)));
        assert!(!says("a", -0.5).is_like(&says("b", -0.5)));
        assert!(!says("a", -0.5).is_like(&Behaviour(Vec::new())));
    }
}
