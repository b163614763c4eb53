//! Simulated evaluations in which the truth is known.

use shipworthy_stats::{Random, StatsError, group_sequential_boundaries, paired_t};

/// Personas of an evaluation.
const PERSONAS: usize = 15;
/// Conversations of each persona.
const REPEATS: usize = 3;
/// Personas that are complete at each look of the group-sequential test.
const LOOKS: [usize; 3] = [5, 10, 15];
/// Two-sided level of every test.
const ALPHA: f64 = 0.05;

/// Shares of replicates at one intraclass correlation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    /// Correlation of two conversations of one persona.
    pub(crate) icc: f64,
    /// The t-test of persona means rejects a true null hypothesis.
    pub(crate) type_1: f64,
    /// Its 95 % interval holds the true mean.
    pub(crate) coverage: f64,
    /// The t-test of all conversations, taken as independent, rejects a true null hypothesis.
    pub(crate) naive_type_1: f64,
    /// The group-sequential test rejects a true null hypothesis at any of its looks.
    pub(crate) sequential_type_1: f64,
}

/// Simulates evaluations of 15 personas with 3 conversations each under no difference.
///
/// A conversation's difference is `√icc·u + √(1 − icc)·e` with standard normal u per persona and e
/// per conversation. Every replicate has its own stream of the seed.
pub(crate) fn rates(icc: f64, replicates: u32, seed: u64) -> Result<Rates, StatsError> {
    let information = LOOKS.map(|personas| personas as f64 / PERSONAS as f64);
    let looks = group_sequential_boundaries(&information, ALPHA)?;
    let (mut type_1, mut covered, mut naive_type_1, mut sequential_type_1) = (0, 0, 0, 0);
    for replicate in 0..replicates {
        let mut random = Random::stream(seed, u64::from(replicate));
        let mut means = Vec::with_capacity(PERSONAS);
        let mut conversations = Vec::with_capacity(PERSONAS * REPEATS);
        for _ in 0..PERSONAS {
            let persona = icc.sqrt() * random.normal();
            let differences =
                [(); REPEATS].map(|()| persona + (1.0 - icc).sqrt() * random.normal());
            means.push(differences.iter().sum::<f64>() / REPEATS as f64);
            conversations.extend(differences);
        }
        let test = paired_t(&means, 1.0 - ALPHA)?;
        type_1 += u32::from(test.p_two_sided < ALPHA);
        covered += u32::from(test.ci.contains(0.0));
        naive_type_1 += u32::from(paired_t(&conversations, 1.0 - ALPHA)?.p_two_sided < ALPHA);
        for (personas, look) in LOOKS.into_iter().zip(&looks) {
            let at_look = paired_t(&means[..personas], 1.0 - ALPHA)?;
            if at_look.p_two_sided < look.nominal_p {
                sequential_type_1 += 1;
                break;
            }
        }
    }
    let share = |count: u32| f64::from(count) / f64::from(replicates);
    Ok(Rates {
        icc,
        type_1: share(type_1),
        coverage: share(covered),
        naive_type_1: share(naive_type_1),
        sequential_type_1: share(sequential_type_1),
    })
}
