//! How often the best of several candidates ships although none is better than the baseline.

use rayon::prelude::*;
use shipworthy_schema::{Gate, Verdict};
use shipworthy_stats::{Random, Spread, StatsError};

use crate::comparison::{Depth, Evidence};
use crate::operating_characteristics::People;
use crate::ruling::Ruling;

/// Candidates without any effect, tried one after another on the same people.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Candidates tried.
    pub candidates: u32,
    /// Personas of the development pool, and of the confirmation pool.
    pub personas: u32,
    /// Conversations of each persona with each model.
    pub repeats: u32,
    /// How much the differences of single conversations vary between and within personas.
    pub spread: Spread,
    /// The bar, at both pools.
    pub gate: Gate,
    /// Loops simulated.
    pub replicates: u32,
    /// Seed of all draws; the number of threads changes nothing.
    pub seed: u64,
}

/// Shares of the simulated loops that ship.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FalseShips {
    /// With one candidate, on the development pool alone.
    pub one: f64,
    /// With the best of all, on the development pool alone.
    pub unconfirmed: f64,
    /// With the best of all, if it also passes on people nobody met before.
    pub confirmed: f64,
    /// With the best of all, whatever it did in development, on people nobody met before.
    pub fresh_alone: f64,
}

#[derive(Clone, Copy, Default)]
struct Counts([u32; 4]);

impl Selection {
    /// Simulates loops: draws every candidate's scores, has the rule choose and decide, and draws new
    /// people for the one chosen.
    ///
    /// A conversation of persona g with model m scores `½ + u_mg + e`; `u_mg ~ N(0, σ_b²/2)`, and
    /// `e ~ N(0, σ_w²/2)` anew for each conversation, so that the differences of two models vary by
    /// `spread`, and all candidates meet the same baseline. The best is the one with the highest mean.
    /// Errors with `TooFew` below three personas, or without repeats, candidates or replicates.
    pub fn run(&self) -> Result<FalseShips, StatsError> {
        let counts = [
            ("a simulated evaluation", 3, self.personas),
            ("a persona", 1, self.repeats),
            ("a loop", 1, self.candidates),
            ("a simulation", 1, self.replicates),
        ];
        for (what, needed, got) in counts {
            let got = got as usize;
            if got < needed {
                return Err(StatsError::TooFew { what, needed, got });
            }
        }
        self.spread.difference_sd(self.repeats as usize)?;
        let people = People::of(self.personas, self.repeats);
        let Counts(counts) = (0..self.replicates)
            .into_par_iter()
            .map_init(|| people.clone(), |people, idx| self.replicate(people, idx))
            .reduce(Counts::default, Counts::plus);
        let [one, unconfirmed, confirmed, fresh_alone] =
            counts.map(|count| f64::from(count) / f64::from(self.replicates));
        Ok(FalseShips {
            one,
            unconfirmed,
            confirmed,
            fresh_alone,
        })
    }

    fn replicate(&self, people: &mut People, replicate: u32) -> Counts {
        let mut random = Random::stream(self.seed, u64::from(replicate));
        let baseline = self.scores(&mut random);
        let mut first_ships = false;
        let mut best: Option<(f64, bool)> = None;
        for candidate in 0..self.candidates {
            let scores = self.scores(&mut random);
            let ships = self.ships(people, &baseline, &scores);
            first_ships |= candidate == 0 && ships;
            let total: f64 = scores.iter().sum();
            if best.is_none_or(|(most, _)| total > most) {
                best = Some((total, ships));
            }
        }
        let passed = best.is_some_and(|(_, ships)| ships);
        let fresh = [(); 2].map(|()| self.scores(&mut random));
        let confirms = self.ships(people, &fresh[0], &fresh[1]);
        Counts([first_ships, passed, passed && confirms, confirms].map(u32::from))
    }

    /// Draws one model's scores, by persona and repeat.
    fn scores(&self, random: &mut Random) -> Vec<f64> {
        let (between, noise) = (
            (self.spread.between / 2.0).sqrt(),
            (self.spread.within / 2.0).sqrt(),
        );
        let mut scores = Vec::with_capacity((self.personas * self.repeats) as usize);
        for _ in 0..self.personas {
            let fit = between * random.normal();
            for _ in 0..self.repeats {
                scores.push((0.5 + fit + noise * random.normal()).clamp(0.0, 1.0));
            }
        }
        scores
    }

    fn ships(&self, people: &mut People, baseline: &[f64], candidate: &[f64]) -> bool {
        let pairs = baseline.iter().zip(candidate);
        people.set(pairs.flat_map(|(baseline, candidate)| [*baseline, *candidate]));
        let models = people.models();
        let evidence = Evidence {
            baseline: &models[0],
            models: &models,
            planned: self.personas * self.repeats,
            conversations: &[],
            scores: people.scores(),
        };
        Ruling::on(Depth::Deciding, &evidence, &self.gate)
            .is_ok_and(|ruling| ruling.verdict() == Verdict::Ship)
    }
}

impl Counts {
    fn plus(mut self, Self(other): Self) -> Self {
        for (count, more) in self.0.iter_mut().zip(other) {
            *count += more;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use shipworthy_schema::Gate;
    use shipworthy_stats::{Spread, StatsError};

    use super::Selection;

    /// Ten candidates on 15 personas of 3 conversations; a quarter of a conversation's variance is the
    /// persona's.
    fn selection(replicates: u32) -> Selection {
        Selection {
            candidates: 10,
            personas: 15,
            repeats: 3,
            spread: Spread {
                between: 0.03,
                within: 0.09,
            },
            gate: Gate::default(),
            replicates,
            seed: 7,
        }
    }

    #[test]
    fn the_best_of_many_ships_often_and_new_people_do_not_confirm_it() {
        let found = selection(600).run().unwrap();
        // A two-sided p below 0.05 in the right direction: 0.025 at most.
        assert!(found.one < 0.05, "{found:?}");
        assert!(found.unconfirmed > 3.0 * found.one.max(0.02), "{found:?}");
        assert!(
            found.confirmed <= found.fresh_alone && found.fresh_alone < 0.05,
            "{found:?}"
        );
    }

    #[test]
    fn one_candidate_is_its_own_best() {
        let alone = Selection {
            candidates: 1,
            ..selection(300)
        };
        let found = alone.run().unwrap();
        assert_eq!(found.one, found.unconfirmed);
        assert!(matches!(
            Selection {
                candidates: 0,
                ..alone
            }
            .run(),
            Err(StatsError::TooFew { what: "a loop", .. })
        ));
    }
}
