//! How many personas and repeats an evaluation needs.

use shipworthy_schema::Gate;
use shipworthy_stats::{
    Costs, PowerTarget, Sides, Split, Spread, StatsError, best_split, minimal_detectable_effect,
    paired_t_power, required_pairs,
};

use crate::score_table::PERSONAS_AT_LEAST;

/// Numbers of personas that tables show.
pub const PERSONAS: [usize; 4] = [10, 15, 20, 30];
/// Numbers of repeats that tables show.
pub const REPEATS: [usize; 4] = [1, 2, 3, 5];
/// Most repeats that a split of a budget tries.
const REPEATS_AT_MOST: usize = 10;

/// Returns the spread of which persona differences over `repeats` conversations have the standard
/// deviation `sd`, `icc` being the personas' share of the variance of one conversation's difference.
///
/// `s_d² = σ_b² + σ_w²/m` and `icc = σ_b²/(σ_b² + σ_w²)`, solved. Errors with `OutOfRange` unless `sd` is above 0
/// and `icc` from 0 to 1, `TooFew` for 0 repeats.
pub fn spread_of(sd: f64, icc: f64, repeats: usize) -> Result<Spread, StatsError> {
    if !(0.0..=1.0).contains(&icc) {
        return Err(StatsError::OutOfRange {
            parameter: "icc",
            value: icc,
            expected: "0 to 1",
        });
    }
    let total = sd * sd / (icc + (1.0 - icc) / repeats.max(1) as f64);
    let spread = Spread {
        between: icc * total,
        within: (1.0 - icc) * total,
    };
    spread.difference_sd(repeats)?;
    Ok(spread)
}

/// What an evaluation shall be able to find.
#[derive(Clone, Debug, PartialEq)]
pub struct Aim {
    /// How the differences of single conversations vary.
    pub spread: Spread,
    /// True gain that shall ship.
    pub gain: f64,
    /// Chance of shipping it.
    pub power: f64,
    /// The bar.
    pub gate: Gate,
    /// Conversations of each persona with each model.
    pub repeats: usize,
    /// Conversations with each model that can be paid; `None`: as many as are needed.
    pub budget: Option<f64>,
    /// What one more persona costs, in conversations; 0 where personas are drawn for nothing.
    pub persona_cost: f64,
    /// Personas with `repeats` that a simulation of the whole rule found necessary; 0 without one.
    pub simulated: usize,
}

/// Personas that an aim needs with a number of repeats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Needed {
    /// Conversations of each persona with each model.
    pub repeats: usize,
    /// Standard deviation of the persona differences to be expected.
    pub sd: f64,
    /// Personas for the t-test to be significant with the aim's power.
    pub for_test: usize,
    /// Personas for the estimate to reach the gate's least gain with the aim's power; `None` if no
    /// number suffices, the true gain being no larger than the least.
    pub for_gain: Option<usize>,
    /// The larger of the two, of what the sign-flip test needs to reach alpha at all, and of what a
    /// simulation of the whole rule asked for; of the tests alone where no number suffices for the
    /// gain.
    pub personas: usize,
}

/// What a number of personas is able to show.
#[derive(Clone, Debug, PartialEq)]
pub struct Ability {
    /// Number of personas.
    pub personas: usize,
    /// Power of the t-test against the aim's gain, for each of [`REPEATS`].
    pub power: Vec<f64>,
    /// Smallest true difference found with the aim's power, at the aim's repeats.
    pub minimal_detectable_effect: f64,
}

/// How large an evaluation should be.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleSize {
    /// What the aim needs with its own repeats.
    pub needed: Needed,
    /// What it needs with each of [`REPEATS`].
    pub by_repeats: Vec<Needed>,
    /// What each of [`PERSONAS`] is able to show.
    pub abilities: Vec<Ability>,
    /// Conversations with each model that the split below may use, persona costs included.
    pub budget: f64,
    /// The split of the budget that detects the smallest difference.
    pub best_split: Split,
}

impl Aim {
    /// Returns how large the evaluation should be.
    ///
    /// Errors as [`required_pairs`] and [`best_split`].
    pub fn sample_size(&self) -> Result<SampleSize, StatsError> {
        let target = self.target();
        let costs = Costs {
            persona: self.persona_cost,
            conversation: 1.0,
        };
        let raised = |mut needed: Needed| {
            if needed.repeats == self.repeats {
                needed.personas = needed.personas.max(self.simulated);
            }
            needed
        };
        let needed = raised(self.needed(self.repeats)?);
        let by_repeats = REPEATS.into_iter().map(|repeats| self.needed(repeats));
        let cost = costs.persona + costs.conversation * self.repeats as f64;
        let budget = self.budget.unwrap_or(needed.personas as f64 * cost);
        Ok(SampleSize {
            needed,
            by_repeats: by_repeats
                .map(|n| n.map(raised))
                .collect::<Result<_, _>>()?,
            abilities: PERSONAS
                .into_iter()
                .map(|personas| self.ability(personas))
                .collect::<Result<_, _>>()?,
            budget,
            best_split: best_split(budget, &self.spread, &costs, &target, REPEATS_AT_MOST)?,
        })
    }

    fn target(&self) -> PowerTarget {
        PowerTarget {
            alpha: self.gate.alpha,
            power: self.power,
            sides: Sides::Two,
        }
    }

    fn needed(&self, repeats: usize) -> Result<Needed, StatsError> {
        let sd = self.spread.difference_sd(repeats)?;
        let for_test = required_pairs(self.gain / sd, &self.target())?;
        let for_gain = self.pairs_for_gain(sd)?;
        let personas = for_test
            .max(for_gain.unwrap_or(0))
            .max(self.pairs_for_sign_flips())
            .max(PERSONAS_AT_LEAST);
        Ok(Needed {
            repeats,
            sd,
            for_test,
            for_gain,
            personas,
        })
    }

    /// Returns the pairs with which the estimate reaches the least gain with the aim's power.
    ///
    /// That is a one-sided test against the least gain at the level one half, which rejects exactly
    /// if the estimate is above it.
    fn pairs_for_gain(&self, sd: f64) -> Result<Option<usize>, StatsError> {
        const HALF: f64 = 0.5;
        let room = self.gain - self.gate.min_gain;
        if room <= 0.0 {
            return Ok(None);
        }
        if self.power <= HALF {
            return Ok(Some(PERSONAS_AT_LEAST));
        }
        let target = PowerTarget {
            alpha: HALF,
            power: self.power,
            sides: Sides::One,
        };
        match required_pairs(room / sd, &target) {
            // More than anyone has.
            Err(StatsError::Undefined { .. }) => Ok(None),
            pairs => pairs.map(Some),
        }
    }

    /// Returns the fewest pairs whose smallest two-sided sign-flip p, `2/2ⁿ`, is below alpha.
    fn pairs_for_sign_flips(&self) -> usize {
        let mut pairs = 1;
        let mut smallest_p = 1.0;
        while smallest_p >= self.gate.alpha && pairs < 60 {
            pairs += 1;
            smallest_p /= 2.0;
        }
        pairs
    }

    fn ability(&self, personas: usize) -> Result<Ability, StatsError> {
        let power = REPEATS.into_iter().map(|repeats| {
            let dz = self.gain / self.spread.difference_sd(repeats)?;
            paired_t_power(dz, personas, self.gate.alpha, Sides::Two)
        });
        let sd = self.spread.difference_sd(self.repeats)?;
        Ok(Ability {
            personas,
            power: power.collect::<Result<_, _>>()?,
            minimal_detectable_effect: minimal_detectable_effect(sd, personas, &self.target())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use shipworthy_schema::Gate;
    use shipworthy_stats::{Spread, StatsError};

    use super::{Aim, spread_of};

    fn aim(sd: f64) -> Aim {
        Aim {
            spread: spread_of(sd, 0.5, 3).unwrap(),
            gain: 0.15,
            power: 0.8,
            gate: Gate::default(),
            repeats: 3,
            budget: None,
            persona_cost: 0.0,
            simulated: 0,
        }
    }

    #[test]
    fn a_spread_has_the_standard_deviation_it_was_made_of() {
        for icc in [0.0, 0.3, 1.0] {
            let spread = spread_of(0.13, icc, 3).unwrap();
            assert!(
                (spread.difference_sd(3).unwrap() - 0.13).abs() < 1e-15,
                "{icc}"
            );
            let share = spread.between / (spread.between + spread.within);
            assert!((share - icc).abs() < 1e-15, "{icc}");
        }
        let one_conversation = spread_of(0.2, 0.5, 1).unwrap();
        assert!((one_conversation.between + one_conversation.within - 0.04).abs() < 1e-15);
        assert!(matches!(
            spread_of(0.0, 0.5, 3),
            Err(StatsError::OutOfRange { .. })
        ));
        assert!(matches!(
            spread_of(f64::NAN, 0.5, 3),
            Err(StatsError::OutOfRange { .. })
        ));
        assert!(matches!(
            spread_of(0.1, 1.5, 3),
            Err(StatsError::OutOfRange { .. })
        ));
        assert!(matches!(
            spread_of(0.1, 0.5, 0),
            Err(StatsError::TooFew { .. })
        ));
    }

    #[test]
    fn fifteen_personas_detect_0778_standard_deviations() {
        let size = aim(0.13).sample_size().unwrap();
        let fifteen = &size.abilities[1];
        assert_eq!(fifteen.personas, 15);
        let ratio = fifteen.minimal_detectable_effect / 0.13;
        assert!((ratio - 0.778).abs() < 0.002, "{ratio}");
        // Detecting exactly that much with 80 % power needs those 15.
        let exact = Aim {
            gain: fifteen.minimal_detectable_effect,
            ..aim(0.13)
        };
        assert_eq!(exact.sample_size().unwrap().needed.for_test, 15);
    }

    #[test]
    fn the_least_gain_needs_room_below_the_true_one() {
        // d̄ ≥ 0.10 with probability 0.8: (0.05/sd)·√n ≥ 0.8416, so n ≥ 4.79 at sd 0.13.
        let needed = aim(0.13).sample_size().unwrap().needed;
        assert_eq!(
            (needed.for_gain, needed.personas),
            (Some(5), needed.for_test.max(6))
        );
        // At 0.30 the test needs 34 pairs and the gain 26.
        let wide = aim(0.30).sample_size().unwrap().needed;
        assert_eq!(
            (wide.for_test, wide.for_gain, wide.personas),
            (34, Some(26), 34)
        );
        let close = Aim {
            gain: 0.11,
            ..aim(0.13)
        };
        let needed = close.sample_size().unwrap().needed;
        assert!(needed.for_gain.unwrap() > 5 * needed.for_test, "{needed:?}");
        let none = Aim {
            gain: 0.10,
            ..aim(0.13)
        };
        assert_eq!(none.sample_size().unwrap().needed.for_gain, None);
    }

    #[test]
    fn sign_flips_need_six_pairs_at_five_percent() {
        assert_eq!(aim(0.01).sample_size().unwrap().needed.personas, 6);
    }

    #[test]
    fn personas_that_cost_nothing_are_better_than_repeats() {
        let free = aim(0.2).sample_size().unwrap();
        assert_eq!(free.best_split.repeats, 1);
        assert_eq!(free.best_split.personas, free.needed.personas * 3);
        let dear = Aim {
            persona_cost: 20.0,
            budget: Some(500.0),
            spread: Spread {
                between: 0.01,
                within: 0.04,
            },
            ..aim(0.2)
        };
        assert!(dear.sample_size().unwrap().best_split.repeats > 3);
    }
}
