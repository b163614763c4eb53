//! From what was said and scored to an evaluation: compare and decide, at every planned look.

use std::collections::{BTreeMap, BTreeSet};

use shipworthy_schema::{
    Comparison, Conversation, ConversationScore, Cost, Decision, Evaluation, InterimLook,
    JudgedPair, LookOutcome, ModelName, Persona, PersonaId, Plan, PoolLook, Reason,
};

use crate::comparison::{ComparisonError, Evidence, compare};
use crate::decision::{decide, recommend};
use crate::early_stopping::Schedule;
use crate::judging_summary::judging_summary;
use crate::pairwise_summary::{pairwise_summary, pairwise_warnings};
use crate::simulator_audit::simulator_audit;
use crate::warnings::warnings;

/// What a run came to so far.
pub(crate) struct Record<'a> {
    pub(crate) plan: &'a Plan,
    /// All people of the plan, in the order in which they speak.
    pub(crate) personas: &'a [Persona],
    pub(crate) conversations: Vec<Conversation>,
    pub(crate) scores: Vec<ConversationScore>,
    /// Pairs of whole conversations, where the plan has them judged.
    pub(crate) pairs: Vec<JudgedPair>,
}

/// What follows from a record.
pub(crate) enum Step {
    /// So many people must have spoken before the next look.
    GoOn { personas: usize },
    /// There is a verdict.
    Done(Box<Evaluation>),
}

/// Returns how many people speak before anybody looks.
pub(crate) fn first_look(plan: &Plan) -> usize {
    let stopping = plan.early_stopping.as_ref();
    stopping
        .and_then(|s| s.looks.first())
        .map_or(plan.personas.count, |n| *n) as usize
}

impl<'a> Record<'a> {
    /// Compares and decides; the same record gives the same evaluation.
    ///
    /// `ordinals`: each candidate's in the ledger of the pool, by which its level is divided.
    pub(crate) fn conclude(
        self,
        ordinals: &BTreeMap<ModelName, u32>,
    ) -> Result<Step, ComparisonError> {
        let gate = &self.plan.gate;
        let pool_looks: Vec<PoolLook> = ordinals
            .iter()
            .map(|(model, ordinal)| PoolLook {
                model: model.clone(),
                ordinal: *ordinal,
                alpha: gate.alpha / f64::from(*ordinal),
            })
            .collect();
        let Some(stopping) = &self.plan.early_stopping else {
            let all = self.whole();
            let comparison = all.compare()?;
            let alpha_of = |model: &ModelName| {
                let look = pool_looks.iter().find(|look| look.model == *model);
                look.map_or(gate.alpha, |look| look.alpha)
            };
            let decisions = decide(&comparison, gate, &alpha_of);
            return Ok(all.done(comparison, decisions, pool_looks, Vec::new()));
        };
        // A plan with early stopping has one candidate.
        let alpha = pool_looks.first().map_or(gate.alpha, |look| look.alpha);
        let schedule =
            Schedule::new(stopping, alpha).map_err(|source| ComparisonError::Looks { source })?;
        let looks: Vec<(u32, f64)> = schedule.looks().collect();
        let spoken = self.spoken();
        let mut taken: Vec<InterimLook> = Vec::new();
        for (index, &(personas, alpha)) in looks.iter().enumerate() {
            if (personas as usize) > spoken {
                return Ok(Step::GoOn {
                    personas: personas as usize,
                });
            }
            let is_last = index + 1 == looks.len();
            let part = self.part(personas as usize);
            let comparison = match part.compare() {
                Ok(comparison) => comparison,
                Err(error) if is_last => return Err(error),
                // Too little yet: more people may mend it.
                Err(_) => {
                    let outcome = LookOutcome::WentOn;
                    taken.push(InterimLook {
                        personas,
                        alpha,
                        seen: None,
                        outcome,
                    });
                    continue;
                }
            };
            let mut decisions = decide(&comparison, gate, &|_| alpha);
            let (seen, outcome) =
                schedule.judge(index, &comparison.candidates[0], &decisions[0], gate);
            taken.push(InterimLook {
                personas,
                alpha,
                seen: Some(seen),
                outcome,
            });
            match outcome {
                LookOutcome::WentOn => {}
                LookOutcome::Last => {
                    return Ok(part.done(comparison, decisions, pool_looks, taken));
                }
                _ => {
                    let stopped = Reason::StoppedEarly {
                        personas,
                        planned: self.plan.personas.count,
                        look: count(taken.len()),
                        looks: count(looks.len()),
                        outcome,
                        alpha,
                        conditional_power: seen.conditional_power,
                    };
                    let reasons = &mut decisions[0].reasons;
                    reasons.insert(1.min(reasons.len()), stopped);
                    return Ok(part.done(comparison, decisions, pool_looks, taken));
                }
            }
        }
        unreachable!("the last look ends the run")
    }

    /// Returns how many of the first people have a score with every model in every repeat.
    fn spoken(&self) -> usize {
        let mut scored: BTreeMap<&PersonaId, usize> = BTreeMap::new();
        for score in &self.scores {
            *scored.entry(&score.conversation.persona).or_default() += 1;
        }
        let all = self.plan.models.len() * self.plan.personas.repeats as usize;
        let is_done = |persona: &&Persona| scored.get(&persona.id).is_some_and(|n| *n >= all);
        self.personas.iter().take_while(is_done).count()
    }

    /// Returns the part of all people.
    fn whole(self) -> Part<'a> {
        let Self {
            plan,
            personas,
            conversations,
            scores,
            pairs,
        } = self;
        Part {
            plan,
            personas,
            conversations,
            scores,
            pairs,
        }
    }

    /// Returns the part of the first `n` people.
    fn part(&self, n: usize) -> Part<'_> {
        let personas = &self.personas[..n.min(self.personas.len())];
        let ids: BTreeSet<&PersonaId> = personas.iter().map(|persona| &persona.id).collect();
        let conversations = self
            .conversations
            .iter()
            .filter(|c| ids.contains(&c.id.persona));
        let scores = self
            .scores
            .iter()
            .filter(|s| ids.contains(&s.conversation.persona));
        let pairs = self
            .pairs
            .iter()
            .filter(|pair| ids.contains(&pair.conversation.persona));
        Part {
            plan: self.plan,
            personas,
            conversations: conversations.cloned().collect(),
            scores: scores.cloned().collect(),
            pairs: pairs.cloned().collect(),
        }
    }
}

/// What the people of one look said.
struct Part<'a> {
    plan: &'a Plan,
    personas: &'a [Persona],
    conversations: Vec<Conversation>,
    scores: Vec<ConversationScore>,
    pairs: Vec<JudgedPair>,
}

impl Part<'_> {
    fn compare(&self) -> Result<Comparison, ComparisonError> {
        let models: Vec<ModelName> = self.plan.models.iter().map(|m| m.name.clone()).collect();
        let personas = count(self.personas.len());
        let evidence = Evidence {
            baseline: &self.plan.baseline,
            models: &models,
            planned: personas * self.plan.personas.repeats,
            conversations: &self.conversations,
            scores: &self.scores,
        };
        compare(&evidence, &self.plan.gate, &self.plan.missing)
    }

    fn done(
        self,
        comparison: Comparison,
        mut decisions: Vec<Decision>,
        pool_looks: Vec<PoolLook>,
        interim_looks: Vec<InterimLook>,
    ) -> Step {
        let gate = &self.plan.gate;
        for decision in &mut decisions {
            let look = pool_looks.iter().find(|look| look.model == decision.model);
            if let Some(PoolLook { ordinal, alpha, .. }) = look.filter(|look| look.ordinal > 1) {
                let (ordinal, alpha, gate_alpha) = (*ordinal, *alpha, gate.alpha);
                decision.reasons.push(Reason::PoolReused {
                    ordinal,
                    gate_alpha,
                    alpha,
                });
            }
        }
        let recommended =
            recommend(&comparison, &decisions).expect("a plan has at least one candidate");
        let judging = judging_summary(self.plan, &self.scores);
        let simulator_audit = simulator_audit(self.plan, &self.conversations, &self.scores);
        let pairwise = pairwise_summary(
            self.plan,
            &self.pairs,
            &self.conversations,
            &self.scores,
            &comparison,
        );
        let mut warnings = warnings(
            self.plan,
            &self.conversations,
            &self.scores,
            &comparison,
            judging.as_ref(),
            &simulator_audit,
        );
        warnings.extend(pairwise.iter().flat_map(pairwise_warnings));
        Step::Done(Box::new(Evaluation {
            plan: self.plan.clone(),
            personas: self.personas.to_vec(),
            conversations: self.conversations,
            scores: self.scores,
            comparison,
            judging,
            pairs: self.pairs,
            pairwise,
            // A record knows no labels; the store does.
            human: None,
            simulator_audit,
            decisions,
            recommended,
            pool_looks,
            interim_looks,
            // A record knows no calls; the store does.
            cost: Cost::default(),
            preflight: Vec::new(),
            warnings,
        }))
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
