//! Which conversations people see, and in which order.

use std::collections::BTreeMap;

use shipworthy_schema::{ConversationScore, Digest, ModelName, PersonaId};
use shipworthy_stats::Random;

/// The two conversations of one persona in one repeat, one with either model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unit {
    pub(super) persona: PersonaId,
    pub(super) repeat: u32,
    /// The judges' difference, candidate − baseline.
    difference: f64,
}

/// Returns all units in the order in which they are labelled: the first n of them are the sample of
/// size n, so that a larger sample holds a smaller one.
///
/// Every persona comes once before any comes again. Within a round, units are sorted by the judges'
/// difference and visited at the points of a van der Corput sequence (bit-reversed counting) from a
/// random start: the first n spread evenly over the range of differences, and each unit is as likely
/// as any other to be among them.
pub(super) fn units(
    scores: &[ConversationScore],
    (baseline, candidate): (&ModelName, &ModelName),
    is_wanted: impl Fn(&ConversationScore) -> bool,
    seed: u64,
) -> Vec<Unit> {
    let mut by_arm: BTreeMap<(&PersonaId, u32), [Option<f64>; 2]> = BTreeMap::new();
    for score in scores.iter().filter(|score| is_wanted(score)) {
        let id = &score.conversation;
        let arm = match &id.model {
            model if model == baseline => 0,
            model if model == candidate => 1,
            _ => continue,
        };
        by_arm.entry((&id.persona, id.repeat)).or_default()[arm] = score.overall.value();
    }
    let mut by_persona: BTreeMap<&PersonaId, Vec<Unit>> = BTreeMap::new();
    for ((persona, repeat), arms) in by_arm {
        if let [Some(baseline), Some(candidate)] = arms {
            by_persona.entry(persona).or_default().push(Unit {
                persona: persona.clone(),
                repeat,
                difference: candidate - baseline,
            });
        }
    }
    let mut random = Random::new(seed);
    let mut rounds: Vec<Vec<Unit>> = Vec::new();
    for mut units in by_persona.into_values() {
        shuffle(&mut units, &mut random);
        for (round, unit) in units.into_iter().enumerate() {
            if rounds.len() == round {
                rounds.push(Vec::new());
            }
            rounds[round].push(unit);
        }
    }
    rounds
        .into_iter()
        .flat_map(|round| spread(round, random.uniform()))
        .collect()
}

/// Returns `units` in the order described at [`units`], from `start` in [0, 1).
fn spread(mut units: Vec<Unit>, start: f64) -> Vec<Unit> {
    // The sort is stable: equal differences stay in persona order.
    units.sort_by(|a, b| a.difference.total_cmp(&b.difference));
    let mut left: Vec<Option<Unit>> = units.into_iter().map(Some).collect();
    let n = left.len();
    let mut ordered = Vec::with_capacity(n);
    for visit in 0_u32.. {
        if ordered.len() == n {
            break;
        }
        let point = (start + f64::from(visit.reverse_bits()) / 2_f64.powi(32)).fract();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the point is in [0, 1)"
        )]
        let at = (point * n as f64) as usize;
        let free = (0..n).map(|step| (at + step) % n);
        let mut free = free.filter(|&at| left[at].is_some());
        let at = free.next().expect("fewer are taken than there are");
        ordered.extend(left[at].take());
    }
    ordered
}

/// Puts `items` into one of all orders, each equally likely.
pub(super) fn shuffle<T>(items: &mut [T], random: &mut Random) {
    for last in (1..items.len()).rev() {
        items.swap(last, random.below(last + 1));
    }
}

/// Returns the seed that follows from these words.
pub(super) fn seed_of(words: &[&str]) -> u64 {
    // Lengths first: no two lists of words read the same.
    let lengths: Vec<String> = words.iter().map(|word| word.len().to_string()).collect();
    let digest = Digest::of(format!("{}\n{}", lengths.join(" "), words.join("\n")).as_bytes());
    u64::from_str_radix(&digest.as_str()[..16], 16).expect("a digest is hexadecimal")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use shipworthy_schema::{ConversationId, ConversationScore, ModelName, Outcome, PersonaId};

    use super::{Unit, units};

    fn names() -> (ModelName, ModelName) {
        (
            ModelName::new("base").unwrap(),
            ModelName::new("tuned").unwrap(),
        )
    }

    fn scores(personas: u32, repeats: u32) -> Vec<ConversationScore> {
        let (base, tuned) = names();
        let mut scores = Vec::new();
        for persona in 0..personas {
            for repeat in 1..=repeats {
                for model in [&base, &tuned] {
                    let gain = f64::from(persona) / f64::from(personas);
                    let value = if *model == base { 0.0 } else { gain };
                    scores.push(ConversationScore {
                        conversation: ConversationId {
                            model: model.clone(),
                            persona: PersonaId::new(format!("p-{}", 9000 + persona)).unwrap(),
                            repeat,
                        },
                        overall: Outcome::Scored { value },
                        passed: None,
                        criteria: Vec::new(),
                        judge_calls: Vec::new(),
                        simulator_flags: Vec::new(),
                    });
                }
            }
        }
        scores
    }

    fn drawn(scores: &[ConversationScore], seed: u64) -> Vec<Unit> {
        let (base, tuned) = names();
        units(scores, (&base, &tuned), |_| true, seed)
    }

    #[test]
    fn every_persona_comes_once_before_any_comes_again() {
        let scores = scores(7, 2);
        let units = drawn(&scores, 1);
        assert_eq!(units.len(), 14);
        for round in units.chunks(7) {
            let personas: BTreeSet<_> = round.iter().map(|unit| &unit.persona).collect();
            assert_eq!(personas.len(), 7);
        }
        assert_eq!(units, drawn(&scores, 1));
        assert_ne!(units, drawn(&scores, 2));
    }

    #[test]
    fn the_first_of_them_spread_over_the_range_of_differences() {
        let scores = scores(40, 1);
        for seed in 0..50 {
            let first = &drawn(&scores, seed)[..4];
            let quarters: BTreeSet<u8> = first
                .iter()
                .map(|unit| {
                    (0..3)
                        .map(|q| u8::from(unit.difference >= f64::from(q + 1) / 4.0))
                        .sum()
                })
                .collect();
            assert_eq!(quarters.len(), 4, "{first:?}");
        }
    }

    #[test]
    fn every_unit_is_as_likely_as_any_other_to_be_drawn() {
        let scores = scores(11, 1);
        let mut drawn_first = std::collections::BTreeMap::<PersonaId, u32>::new();
        for seed in 0..4400 {
            for unit in drawn(&scores, seed).into_iter().take(3) {
                *drawn_first.entry(unit.persona).or_default() += 1;
            }
        }
        // 1200 expected of each, with a standard deviation of 30.
        assert_eq!(drawn_first.len(), 11);
        assert!(
            drawn_first.values().all(|n| (1080..1320).contains(n)),
            "{drawn_first:?}"
        );
    }

    #[test]
    fn a_persona_without_a_score_in_both_arms_is_left_out() {
        let mut scores = scores(3, 1);
        scores[0].overall = Outcome::Unscored {
            reason: String::new(),
        };
        assert_eq!(drawn(&scores, 1).len(), 2);
    }
}
