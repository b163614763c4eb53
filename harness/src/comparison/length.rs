//! The difference that is left when replies are equally long.

use std::collections::{BTreeMap, BTreeSet};

use shipworthy_schema::{ConversationId, LengthAdjusted, PersonaId};
use shipworthy_stats::{mean, paired_regression};

use super::arm::{Arm, Pairs};

impl Arm<'_> {
    /// Adjusts the difference for the length of replies: a regression of the personas' differences
    /// of scores on their differences of log words per reply. `None` without transcripts, and where
    /// there is no such line.
    pub(super) fn length_adjusted(&self, base: &Self, pairs: &Pairs) -> Option<LengthAdjusted> {
        let (before, after) = (base.log_lengths(), self.log_lengths());
        let (mut differences, mut lengths) = (Vec::new(), Vec::new());
        for (pair, difference) in pairs.0.iter().zip(pairs.differences()) {
            if let (Some(before), Some(after)) =
                (before.get(&pair.persona), after.get(&pair.persona))
            {
                differences.push(difference);
                lengths.push(after - before);
            }
        }
        let fit = paired_regression(&differences, &lengths, 0.95).ok()?;
        let is_shorter = lengths.iter().any(|length| *length <= 0.0);
        let is_longer = lengths.iter().any(|length| *length >= 0.0);
        Some(LengthAdjusted {
            personas: super::arm::count(fit.n),
            length_ratio: mean(&lengths).ok()?.exp(),
            difference: fit.adjusted,
            ci95: fit.ci.ends(),
            p_value: fit.p_two_sided,
            slope: fit.slope,
            slope_p: fit.slope_p,
            is_extrapolated: !(is_shorter && is_longer),
        })
    }

    /// Returns each persona's mean of the logarithm of words per reply over scored conversations;
    /// one in which nothing was said has no length.
    fn log_lengths(&self) -> BTreeMap<&PersonaId, f64> {
        let scored: BTreeSet<&ConversationId> = self.scored().map(|s| &s.conversation).collect();
        let mut logs: BTreeMap<&PersonaId, Vec<f64>> = BTreeMap::new();
        for conversation in self.conversations.iter().filter(|c| scored.contains(&c.id)) {
            let words = conversation
                .replies()
                .map(|reply| reply.split_whitespace().count() as f64);
            let words = mean(&words.collect::<Vec<f64>>()).unwrap_or(0.0);
            if words > 0.0 {
                let persona = &conversation.id.persona;
                logs.entry(persona).or_default().push(words.ln());
            }
        }
        let mean = |(persona, logs): (_, Vec<f64>)| Some((persona, mean(&logs).ok()?));
        logs.into_iter().filter_map(mean).collect()
    }
}
