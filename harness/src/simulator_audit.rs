//! How often simulated people went wrong, and whether as often with every model.

use std::collections::{BTreeMap, BTreeSet};

use shipworthy_schema::{
    AuditedModel, Conversation, ConversationId, ConversationScore, FlagComparison, ModelName,
    PersonaId, Plan, SimulatorAudit, SimulatorFlag, SimulatorFlagKind,
};
use shipworthy_stats::{mean, paired_differences, paired_t};

/// Says why `flags` leave a conversation out under the rule that excludes `kinds`, if they do.
pub(crate) fn reason_to_exclude(
    kinds: &[SimulatorFlagKind],
    flags: &[SimulatorFlag],
) -> Option<String> {
    let flag = flags.iter().find(|flag| kinds.contains(&flag.kind))?;
    Some(format!(
        "left out by the plan's rule on the simulator: {flag}"
    ))
}

/// Returns how often people went wrong, by model, and candidates beside the baseline.
///
/// Conversations that failed are not audited.
pub(crate) fn simulator_audit(
    plan: &Plan,
    conversations: &[Conversation],
    scores: &[ConversationScore],
) -> SimulatorAudit {
    let ended = conversations.iter().filter(|c| c.termination.is_complete());
    let ended: BTreeSet<&ConversationId> = ended.map(|c| &c.id).collect();
    let audited: Vec<&ConversationScore> = scores
        .iter()
        .filter(|score| ended.contains(&score.conversation))
        .collect();
    let is_excluded = |score: &ConversationScore| {
        reason_to_exclude(&plan.simulator_audit.exclude, &score.simulator_flags).is_some()
    };
    let candidates = plan.models.iter().map(|model| &model.name);
    let candidates: Vec<&ModelName> = candidates.filter(|m| **m != plan.baseline).collect();
    let model = |model: &ModelName| {
        let own = audited.iter().filter(|s| s.conversation.model == *model);
        let own: Vec<&ConversationScore> = own.copied().collect();
        let with = |kind| count(own.iter().filter(|score| has(score, kind)).count());
        AuditedModel {
            model: model.clone(),
            conversations: count(own.len()),
            flagged: with(None),
            excluded: count(own.iter().filter(|score| is_excluded(score)).count()),
            by_kind: SimulatorFlagKind::ALL
                .map(|kind| (kind, with(Some(kind))))
                .into(),
        }
    };
    let kinds = SimulatorFlagKind::ALL.map(Some);
    let kinds: Vec<Option<SimulatorFlagKind>> = std::iter::once(None)
        .chain(kinds)
        .filter(|kind| audited.iter().any(|score| has(score, *kind)))
        .collect();
    let comparisons = candidates.iter().flat_map(|candidate| {
        let compared = |kind: &_| compared(*kind, &plan.baseline, candidate, &audited);
        kinds.iter().filter_map(compared).collect::<Vec<_>>()
    });
    let excluded = audited.iter().filter(|score| is_excluded(score));
    SimulatorAudit {
        models: std::iter::once(&plan.baseline)
            .chain(candidates.iter().copied())
            .map(model)
            .collect(),
        comparisons: comparisons.collect(),
        excluded: excluded.map(|score| score.conversation.clone()).collect(),
    }
}

fn has(score: &ConversationScore, kind: Option<SimulatorFlagKind>) -> bool {
    let mut flags = score.simulator_flags.iter();
    flags.any(|flag| kind.is_none_or(|kind| flag.kind == kind))
}

/// Compares the shares of flagged conversations, persona by persona; `None` without a pair.
fn compared(
    kind: Option<SimulatorFlagKind>,
    baseline: &ModelName,
    candidate: &ModelName,
    audited: &[&ConversationScore],
) -> Option<FlagComparison> {
    let of_baseline = shares(kind, baseline, audited);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for (persona, share) in shares(kind, candidate, audited) {
        if let Some(of_baseline) = of_baseline.get(persona) {
            before.push(*of_baseline);
            after.push(share);
        }
    }
    let (baseline_rate, rate) = (mean(&before).ok()?, mean(&after).ok()?);
    let differences = paired_differences(&before, &after).ok()?;
    Some(FlagComparison {
        model: candidate.clone(),
        kind,
        personas: count(differences.len()),
        baseline_rate,
        rate,
        difference: mean(&differences).ok()?,
        ci95: paired_t(&differences, 0.95).ok().map(|test| test.ci.ends()),
    })
}

/// Returns each persona's share of conversations with `model` that are flagged.
fn shares<'a>(
    kind: Option<SimulatorFlagKind>,
    model: &ModelName,
    audited: &[&'a ConversationScore],
) -> BTreeMap<&'a PersonaId, f64> {
    let mut flagged: BTreeMap<&PersonaId, Vec<f64>> = BTreeMap::new();
    for score in audited.iter().filter(|s| s.conversation.model == *model) {
        let persona = &score.conversation.persona;
        let is_flagged = f64::from(u8::from(has(score, kind)));
        flagged.entry(persona).or_default().push(is_flagged);
    }
    let share = |(persona, flagged): (_, Vec<f64>)| Some((persona, mean(&flagged).ok()?));
    flagged.into_iter().filter_map(share).collect()
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use shipworthy_schema::{SimulatorFlag, SimulatorFlagKind};

    use super::reason_to_exclude;

    #[test]
    fn nothing_is_left_out_unless_the_plan_says_so() {
        let flags = [SimulatorFlag {
            kind: SimulatorFlagKind::RoleSwap,
            turn: 2,
            found: "as an ai".to_owned(),
        }];
        assert_eq!(reason_to_exclude(&[], &flags), None);
        assert_eq!(
            reason_to_exclude(&[SimulatorFlagKind::Repetition], &flags),
            None
        );
        let reason = reason_to_exclude(&[SimulatorFlagKind::RoleSwap], &flags).unwrap();
        assert!(
            reason.ends_with("role swap in the person's turn 2: as an ai"),
            "{reason}"
        );
    }
}
