//! How often the whole rule gives each verdict when the truth is known.

use rayon::prelude::*;
use shipworthy_schema::{
    ConversationId, ConversationScore, Gate, ModelName, Outcome, PersonaId, Verdict,
};
use shipworthy_stats::{Random, Spread, StatsError};

use crate::comparison::{Depth, Evidence};
use crate::ruling::Ruling;

/// True mean differences that are usually asked about.
pub const EFFECTS: [f64; 6] = [0.0, 0.05, 0.10, 0.15, 0.20, 0.35];

/// What is simulated.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulation {
    /// Personas of an evaluation.
    pub personas: u32,
    /// Conversations of each persona with each model.
    pub repeats: u32,
    /// How much the differences of single conversations vary between and within personas.
    pub spread: Spread,
    /// The bar.
    pub gate: Gate,
    /// Evaluations for each true effect.
    pub replicates: u32,
    /// Seed of all draws; the number of threads changes nothing.
    pub seed: u64,
}

/// What came of the evaluations with one true effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Characteristic {
    /// True mean difference, candidate − baseline.
    pub effect: f64,
    /// Each verdict, in the order of [`Verdict::ALL`].
    pub verdicts: Vec<VerdictShare>,
    /// Share of evaluations without a verdict, because all differences were the same.
    pub without_verdict: f64,
    /// Share of scores that were drawn outside [0, 1] and moved to its end; where it is not small the
    /// effect that was simulated is smaller than the one asked for.
    pub clipped: f64,
}

/// How often a verdict was given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VerdictShare {
    /// The verdict.
    pub verdict: Verdict,
    /// Share of the evaluations.
    pub share: f64,
    /// Monte-Carlo standard error of the share.
    pub error: f64,
}

/// Counts over replicates; whole numbers, so that their sum does not depend on its order.
#[derive(Clone, Copy, Default)]
struct Counts {
    verdicts: [u32; Verdict::ALL.len()],
    without_verdict: u32,
    clipped: u64,
}

impl Simulation {
    /// Simulates evaluations with each of `effects`: draws scores, compares, decides.
    ///
    /// A conversation of persona g scores `½ ∓ (effect + b_g)/2 + e`, minus with the baseline and plus
    /// with the candidate; `b_g ~ N(0, σ_b²)`, and `e ~ N(0, σ_w²/2)` anew for each conversation. The
    /// difference of two conversations then varies by `σ_b²` between and `σ_w²` within personas. How
    /// easy a persona is with both models cancels in the difference and is left out. Every effect
    /// sees the same draws. Errors with `TooFew` below three personas, one repeat or one replicate,
    /// `OutOfRange` for the spread or an effect.
    pub fn run(&self, effects: &[f64]) -> Result<Vec<Characteristic>, StatsError> {
        let counts = [
            ("a simulated evaluation", 3, self.personas),
            ("a persona", 1, self.repeats),
            ("a simulation", 1, self.replicates),
        ];
        for (what, needed, got) in counts {
            let got = got as usize;
            if got < needed {
                return Err(StatsError::TooFew { what, needed, got });
            }
        }
        self.spread.difference_sd(self.repeats as usize)?;
        if let Some(&value) = effects
            .iter()
            .find(|effect| effect.is_nan() || effect.abs() > 1.0)
        {
            return Err(StatsError::OutOfRange {
                parameter: "true effect",
                value,
                expected: "-1 to 1",
            });
        }
        let people = People::of(self.personas, self.repeats);
        Ok(effects
            .iter()
            .map(|&effect| self.characteristic(&people, effect))
            .collect())
    }

    fn characteristic(&self, people: &People, effect: f64) -> Characteristic {
        let counts = (0..self.replicates)
            .into_par_iter()
            .map_init(
                || people.scores.clone(),
                |scores, replicate| self.replicate(people, scores, effect, replicate),
            )
            .reduce(Counts::default, Counts::plus);
        let n = f64::from(self.replicates);
        let share = |count: u32| f64::from(count) / n;
        let of_verdict = |(verdict, count)| {
            let share = share(count);
            VerdictShare {
                verdict,
                share,
                error: (share * (1.0 - share) / n).sqrt(),
            }
        };
        Characteristic {
            effect,
            verdicts: Verdict::ALL
                .into_iter()
                .zip(counts.verdicts)
                .map(of_verdict)
                .collect(),
            without_verdict: share(counts.without_verdict),
            clipped: counts.clipped as f64 / (n * people.scores.len() as f64),
        }
    }

    /// Draws one evaluation's scores into `scores`, and rules on them.
    fn replicate(
        &self,
        people: &People,
        scores: &mut [ConversationScore],
        effect: f64,
        replicate: u32,
    ) -> Counts {
        let mut counts = Counts::default();
        let mut random = Random::stream(self.seed, u64::from(replicate));
        let (between, noise) = (
            self.spread.between.sqrt(),
            (self.spread.within / 2.0).sqrt(),
        );
        for of_persona in scores.chunks_mut(2 * self.repeats as usize) {
            let difference = effect + between * random.normal();
            for (idx, score) in of_persona.iter_mut().enumerate() {
                let half = if idx % 2 == 0 { -0.5 } else { 0.5 };
                let drawn = 0.5 + half * difference + noise * random.normal();
                let value = drawn.clamp(0.0, 1.0);
                counts.clipped += u64::from(value != drawn);
                score.overall = Outcome::Scored { value };
            }
        }
        let models = people.models();
        let planned = self.personas * self.repeats;
        let evidence = Evidence {
            baseline: &people.baseline,
            models: &models,
            planned,
            conversations: &[],
            scores,
        };
        match Ruling::on(Depth::Deciding, &evidence, &self.gate) {
            Ok(ruling) => {
                let verdict = ruling.verdict();
                for (count, of) in counts.verdicts.iter_mut().zip(Verdict::ALL) {
                    *count += u32::from(of == verdict);
                }
            }
            Err(_) => counts.without_verdict += 1,
        }
        counts
    }
}

impl Counts {
    fn plus(mut self, other: Self) -> Self {
        for (count, more) in self.verdicts.iter_mut().zip(other.verdicts) {
            *count += more;
        }
        self.without_verdict += other.without_verdict;
        self.clipped += other.clipped;
        self
    }
}

/// The two models and every conversation, scores still to be drawn: by persona, baseline and
/// candidate in turn.
#[derive(Clone)]
pub(crate) struct People {
    baseline: ModelName,
    candidate: ModelName,
    scores: Vec<ConversationScore>,
}

impl People {
    pub(crate) fn of(personas: u32, repeats: u32) -> Self {
        let name = |name| ModelName::new(name).expect("the name is a plain word");
        let (baseline, candidate) = (name("baseline"), name("candidate"));
        let mut scores = Vec::new();
        for persona in 1..=personas {
            let persona = PersonaId::new(format!("p{persona}")).expect("the name is a plain word");
            for repeat in 1..=repeats {
                for model in [&baseline, &candidate] {
                    scores.push(ConversationScore {
                        conversation: ConversationId {
                            model: model.clone(),
                            persona: persona.clone(),
                            repeat,
                        },
                        overall: Outcome::NotApplicable,
                        passed: Some(true),
                        criteria: Vec::new(),
                        judge_calls: Vec::new(),
                        simulator_flags: Vec::new(),
                    });
                }
            }
        }
        Self {
            baseline,
            candidate,
            scores,
        }
    }

    /// Returns the baseline and the candidate.
    pub(crate) fn models(&self) -> [ModelName; 2] {
        [self.baseline.clone(), self.candidate.clone()]
    }

    /// Returns every conversation's scores.
    pub(crate) fn scores(&self) -> &[ConversationScore] {
        &self.scores
    }

    /// Gives every conversation its score, in order.
    pub(crate) fn set(&mut self, values: impl Iterator<Item = f64>) {
        for (score, value) in self.scores.iter_mut().zip(values) {
            score.overall = Outcome::Scored { value };
        }
    }
}

#[cfg(test)]
mod tests {
    use shipworthy_schema::{Gate, Verdict};
    use shipworthy_stats::{Spread, StatsError};

    use super::{Characteristic, EFFECTS, Simulation};

    /// 15 personas of 3 conversations whose mean differences have the standard deviation `sd`, half
    /// of the variance of a conversation's difference being the persona's.
    fn simulation(sd: f64, replicates: u32) -> Simulation {
        let variance = sd * sd / (0.5 + 0.5 / 3.0) / 2.0;
        Simulation {
            personas: 15,
            repeats: 3,
            spread: Spread {
                between: variance,
                within: variance,
            },
            gate: Gate::default(),
            replicates,
            seed: 7,
        }
    }

    fn share(row: &Characteristic, verdict: Verdict) -> f64 {
        row.verdicts
            .iter()
            .find(|v| v.verdict == verdict)
            .unwrap()
            .share
    }

    #[test]
    fn the_rule_ships_as_often_as_an_independent_simulation_found() {
        const REPLICATES: u32 = 1500;
        // Passing = mean difference of at least 0.10 and two-sided p below 0.05, 15 personas.
        let expected = [
            (0.0, 0.001),
            (0.05, 0.071),
            (0.10, 0.496),
            (0.15, 0.930),
            (0.20, 0.998),
        ];
        let gate = Gate {
            suspicious_gain: 1.0,
            ..Gate::default()
        };
        let simulation = Simulation {
            gate,
            ..simulation(0.13, REPLICATES)
        };
        let rows = simulation.run(&expected.map(|(effect, _)| effect)).unwrap();
        for (row, (effect, expected)) in rows.iter().zip(expected) {
            let found = share(row, Verdict::Ship);
            let error = (expected * (1.0 - expected) / f64::from(REPLICATES)).sqrt();
            assert!(
                (found - expected).abs() < 4.0 * error,
                "{effect}: {found}, not {expected}"
            );
            assert!(row.clipped < 1e-4, "{row:?}");
        }
    }

    #[test]
    fn every_evaluation_gets_one_verdict() {
        let rows = simulation(0.13, 200).run(&EFFECTS).unwrap();
        for row in &rows {
            let sum: f64 = row.verdicts.iter().map(|v| v.share).sum();
            assert!((sum + row.without_verdict - 1.0).abs() < 1e-12, "{row:?}");
        }
        assert!(share(&rows[0], Verdict::Iterate) > 0.95);
        assert!(share(&rows[5], Verdict::Hold) > 0.8, "{:?}", rows[5]);
    }

    #[test]
    fn threads_change_nothing() {
        let simulation = simulation(0.2, 64);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| simulation.run(&[0.1]).unwrap())
        };
        assert_eq!(on(1), on(3));
        let other = Simulation {
            seed: 8,
            ..simulation.clone()
        };
        assert_ne!(other.run(&[0.1]).unwrap(), on(1));
    }

    #[test]
    fn what_cannot_be_simulated_is_an_error() {
        let few = Simulation {
            personas: 2,
            ..simulation(0.1, 10)
        };
        assert!(matches!(
            few.run(&[0.1]),
            Err(StatsError::TooFew {
                needed: 3,
                got: 2,
                ..
            })
        ));
        let none = Simulation {
            replicates: 0,
            ..simulation(0.1, 10)
        };
        assert!(matches!(none.run(&[0.1]), Err(StatsError::TooFew { .. })));
        let nan = simulation(0.1, 10).run(&[f64::NAN]);
        assert!(matches!(nan, Err(StatsError::OutOfRange { .. })));
    }
}
