//! What may be answered from earlier runs: who has to be the same, and under which key it is found.
//!
//! A key is the digest of everything that a conversation, or its scores, follow from. It exists only
//! where every model that has a part in it can be shown to be the same in another run: a file by its
//! digest; a model behind a server, which may serve anything under an old name, only where the
//! configuration vouches for it (`reuse: true`) and it still goes on from some prompts as it did.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use shipworthy_schema::{
    CallRole, Conversation, ConversationId, Digest, ModelName, ModelRef, ModelSource, Persona,
    Plan, SimulatorPlan,
};

use crate::config::{Config, SimulatorConfig};
use crate::preflight::Preflight;

/// Version of the keys: raised when what they are made of changes its meaning.
const VERSION: &str = "1";

/// Another version of this program may ask or read otherwise, and runs other kernels.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// Which models of a project may answer in other runs than the one that asked; no part of the plan.
#[derive(Clone, Debug, Default)]
pub struct ReusePolicy {
    /// By role and name, as preflight calls them.
    reusable: BTreeSet<String>,
    /// Whether earlier runs are looked at.
    ignores_earlier: bool,
}

impl ReusePolicy {
    /// Returns what `config` allows.
    pub(crate) fn of(config: &Config) -> Self {
        let mut reusable: BTreeSet<String> = config
            .models
            .iter()
            .filter(|(_, entry)| entry.value.may_be_reused())
            .map(|(name, _)| subject(CallRole::Model, name))
            .collect();
        if let SimulatorConfig::Llm(entry) = &config.simulator.value
            && entry.model.may_be_reused()
        {
            reusable.insert(SIMULATOR.to_owned());
        }
        let judges = config.judge.value.entries().iter();
        let judges = judges.filter(|entry| entry.model.may_be_reused());
        reusable.extend(judges.map(|entry| subject(CallRole::Judge, &entry.name)));
        Self {
            reusable,
            ignores_earlier: false,
        }
    }

    /// Tells whether a model, by role and name, may answer in other runs.
    pub(crate) fn is_reusable(&self, subject: &str) -> bool {
        self.reusable.contains(subject)
    }

    /// Asks everything anew, whatever earlier runs know; later ones may still look at this one.
    #[must_use]
    pub fn fresh(self) -> Self {
        Self {
            ignores_earlier: true,
            ..self
        }
    }
}

/// What one run may have from others, and others from it.
#[derive(Debug)]
pub(crate) struct Reuse {
    /// The digest of what all conversations with a model have in common.
    conversations: BTreeMap<ModelName, Digest>,
    /// The digest of what all scores have in common, where asking judges is saved by them.
    scores: Option<Digest>,
    /// First digits of each reusable model's identity, by role and name.
    speakers: BTreeMap<String, String>,
    pub(crate) ignores_earlier: bool,
}

impl Reuse {
    /// Works out what `policy` comes to for `plan`, whose models are asked as `found` says.
    pub(crate) fn new(plan: &Plan, policy: &ReusePolicy, found: &Preflight) -> Self {
        let identify = |role, model: &ModelRef| {
            let name = subject(role, &model.name);
            policy
                .is_reusable(&name)
                .then(|| identity(&model.source, found, &name))
        };
        let simulator = match &plan.simulator {
            SimulatorPlan::RuleBased { .. } => Some(None),
            SimulatorPlan::Llm { model, .. } => identify(CallRole::Simulator, model).map(Some),
        };
        let conversations = plan.models.iter().filter_map(|model| {
            let common = Common {
                model: identify(CallRole::Model, model)?,
                simulator: simulator.clone()?,
                simulator_plan: how(&plan.simulator),
                system_prompt: plan.system_prompt.as_deref(),
                sampling: &plan.sampling,
                max_turns: plan.personas.max_turns,
            };
            Some((model.name.clone(), digest("conversation", &common)))
        });
        let judges: Option<Vec<_>> = plan
            .judges
            .iter()
            .map(|judge| {
                let name = &judge.model.name;
                let identity = identify(CallRole::Judge, &judge.model)?;
                Some((name, identity, judge.repeats, &judge.sampling))
            })
            .collect();
        let scores = judges.filter(|judges| !judges.is_empty()).map(|judges| {
            let rules = (&plan.rubric, &plan.judging, &plan.simulator_audit);
            digest("score", &(judges, rules))
        });
        let mut speakers = BTreeMap::new();
        let mut speaks = |role, model: &ModelRef| {
            if let Some(identity) = identify(role, model) {
                let digits = identity.as_str()[..SPEAKER_DIGITS].to_owned();
                speakers.insert(subject(role, &model.name), digits);
            }
        };
        for model in &plan.models {
            speaks(CallRole::Model, model);
        }
        if let SimulatorPlan::Llm { model, .. } = &plan.simulator {
            speaks(CallRole::Simulator, model);
        }
        for judge in &plan.judges {
            speaks(CallRole::Judge, &judge.model);
        }
        Self {
            conversations: conversations.collect(),
            scores,
            speakers,
            ignores_earlier: policy.ignores_earlier,
        }
    }

    /// Returns the key of a conversation that may be found by other runs.
    pub(crate) fn conversation_key(
        &self,
        id: &ConversationId,
        persona: &Persona,
    ) -> Option<Digest> {
        let common = self.conversations.get(&id.model)?;
        Some(digest("conversation of", &(common, id, persona)))
    }

    /// Returns the key of a conversation's scores that may be found by other runs.
    pub(crate) fn score_key(
        &self,
        persona: &Persona,
        conversation: &Conversation,
    ) -> Option<Digest> {
        let common = self.scores.as_ref()?;
        let is_judged = conversation.termination.is_complete();
        is_judged.then(|| digest("score of", &(common, persona, conversation)))
    }

    /// Returns what proves to other runs who answered; `None` where nothing does.
    pub(crate) fn speaker(&self, role: CallRole, name: &ModelName) -> Option<&str> {
        self.speakers.get(&subject(role, name)).map(String::as_str)
    }

    /// Returns all that prove who answered.
    pub(crate) fn speakers(&self) -> Vec<String> {
        self.speakers.values().cloned().collect()
    }
}

/// Digits of an identity's digest that calls are stored with.
const SPEAKER_DIGITS: usize = 16;

const SIMULATOR: &str = "simulator";

/// Returns what preflight calls a model.
fn subject(role: CallRole, name: &ModelName) -> String {
    match role {
        CallRole::Model => format!("models.{name}"),
        CallRole::Simulator => SIMULATOR.to_owned(),
        CallRole::Judge => format!("judges.{name}"),
    }
}

/// What all conversations with one model follow from.
#[derive(Serialize)]
struct Common<'a> {
    model: Digest,
    simulator: Option<Digest>,
    simulator_plan: serde_json::Value,
    system_prompt: Option<&'a str>,
    sampling: &'a shipworthy_schema::Sampling,
    max_turns: u32,
}

/// Returns how the people are played, without who plays them.
fn how(simulator: &SimulatorPlan) -> serde_json::Value {
    match simulator {
        SimulatorPlan::RuleBased { version } => serde_json::json!({ "rules": version }),
        SimulatorPlan::Llm {
            version, sampling, ..
        } => serde_json::json!({ "prompt": version, "sampling": sampling }),
    }
}

/// Returns the digest of what a model is and how it is asked. A file is its content, wherever it
/// lies; behind a server, address, all that the server tells, and how the model behaves belong to it.
fn identity(source: &ModelSource, found: &Preflight, subject: &str) -> Digest {
    let examined = found.models.get(subject);
    let adaptation = examined.map_or_else(Default::default, |examined| examined.adaptation.clone());
    let is = match source {
        ModelSource::Gguf {
            digest, context, ..
        } => serde_json::json!({ "gguf": digest, "context": context }),
        ModelSource::Scripted { digest, .. } => serde_json::json!({ "scripted": digest }),
        ModelSource::Http { .. } => serde_json::json!({ "served": source }),
    };
    let behaviour = examined.and_then(|examined| examined.behaviour.as_ref());
    digest("model", &(is, adaptation, behaviour))
}

fn digest(what: &str, of: &impl Serialize) -> Digest {
    let json = serde_json::to_vec(&(VERSION, PROGRAM, what, of)).expect("plans are plain data");
    Digest::of(&json)
}
