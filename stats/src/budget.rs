use crate::error::{check_count, check_positive};
use crate::power::{PowerTarget, required_pairs};
use crate::{StatsError, minimal_detectable_effect};

/// Variance of the differences of single conversations, from a pilot or assumed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Variance between personas, `σ_b²`, at least 0.
    pub between: f64,
    /// Variance within a persona, `σ_w²`, at least 0; user, model and judge of both arms.
    pub within: f64,
}

impl Spread {
    /// Returns the standard deviation of persona differences with `repeats` conversations each.
    ///
    /// `√(σ_b² + σ_w²/m)`. Errors with `TooFew` for 0 repeats, `OutOfRange` for a negative variance
    /// or if both are 0.
    pub fn difference_sd(&self, repeats: usize) -> Result<f64, StatsError> {
        self.check()?;
        check_count("a persona", 1, repeats)?;
        Ok((self.between + self.within / repeats as f64).sqrt())
    }

    fn check(&self) -> Result<(), StatsError> {
        for (parameter, value) in [
            ("variance between", self.between),
            ("variance within", self.within),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                let expected = "a finite number of at least 0";
                return Err(StatsError::OutOfRange {
                    parameter,
                    value,
                    expected,
                });
            }
        }
        check_positive("total variance", self.between + self.within)
    }
}

/// What an evaluation costs, in any unit: calls, tokens, seconds or money.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// One more persona without a conversation; 0 if personas are free.
    pub persona: f64,
    /// One more conversation of both arms, above 0.
    pub conversation: f64,
}

impl Costs {
    fn check(&self) -> Result<(), StatsError> {
        check_positive("cost of a conversation", self.conversation)?;
        if self.persona >= 0.0 && self.persona.is_finite() {
            return Ok(());
        }
        let expected = "a finite number of at least 0";
        Err(StatsError::OutOfRange {
            parameter: "cost of a persona",
            value: self.persona,
            expected,
        })
    }

    fn of_persona(&self, repeats: usize) -> f64 {
        self.persona + self.conversation * repeats as f64
    }
}

/// Personas and repeats, with what they cost and show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// Number of personas.
    pub personas: usize,
    /// Conversations of each persona.
    pub repeats: usize,
    /// Total cost.
    pub cost: f64,
    /// Standard deviation of the persona differences to be expected.
    pub difference_sd: f64,
    /// Smallest true difference that is found with the target's power.
    pub minimal_detectable_effect: f64,
}

/// Returns how many conversations per persona make the mean difference most precise for its cost.
///
/// `m* = √((cost of a persona/cost of a conversation)·(σ_w²/σ_b²))` (Cochran 1977, 10.6), not rounded; below 1 it means
/// one conversation. Errors with `OutOfRange`, and `Undefined` if personas do not differ, when
/// more repeats are as good as more personas.
pub fn best_repeats(spread: &Spread, costs: &Costs) -> Result<f64, StatsError> {
    spread.check()?;
    costs.check()?;
    if spread.between == 0.0 {
        let reason = "there is no variance between personas";
        return Err(StatsError::Undefined {
            what: "the best number of repeats",
            reason,
        });
    }
    Ok((costs.persona / costs.conversation * spread.within / spread.between).sqrt())
}

/// Returns the split of a budget with the smallest minimal detectable effect.
///
/// Tries every number of repeats up to `max_repeats` with as many personas as it leaves money for;
/// among equals the fewest repeats win. Errors with `OutOfRange`, and with `TooFew` if two personas
/// cannot be paid.
pub fn best_split(
    budget: f64,
    spread: &Spread,
    costs: &Costs,
    target: &PowerTarget,
    max_repeats: usize,
) -> Result<Split, StatsError> {
    check_positive("budget", budget)?;
    costs.check()?;
    check_count("a persona", 1, max_repeats)?;
    let affordable = |repeats| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast to an integer saturates, and the quotient is above 0"
        )]
        let personas = (budget / costs.of_persona(repeats) * (1.0 + 1e-12)).floor() as usize;
        personas
    };
    check_count("a budget for personas", 2, affordable(1))?;
    let splits = (1..=max_repeats)
        .filter(|&repeats| affordable(repeats) >= 2)
        .map(|repeats| split(affordable(repeats), repeats, spread, costs, target));
    smallest(splits, |split| split.minimal_detectable_effect)
}

/// Returns the cheapest split that finds a true difference of `effect` with the target's power.
///
/// Tries every number of repeats up to `max_repeats` with the fewest personas that suffice. Errors
/// as [`required_pairs`](crate::required_pairs).
pub fn cheapest_split(
    effect: f64,
    spread: &Spread,
    costs: &Costs,
    target: &PowerTarget,
    max_repeats: usize,
) -> Result<Split, StatsError> {
    check_positive("effect", effect)?;
    costs.check()?;
    check_count("a persona", 1, max_repeats)?;
    let splits = (1..=max_repeats).map(|repeats| {
        let personas = required_pairs(effect / spread.difference_sd(repeats)?, target)?;
        split(personas, repeats, spread, costs, target)
    });
    smallest(splits, |split| split.cost)
}

fn split(
    personas: usize,
    repeats: usize,
    spread: &Spread,
    costs: &Costs,
    target: &PowerTarget,
) -> Result<Split, StatsError> {
    let difference_sd = spread.difference_sd(repeats)?;
    Ok(Split {
        personas,
        repeats,
        cost: costs.of_persona(repeats) * personas as f64,
        difference_sd,
        minimal_detectable_effect: minimal_detectable_effect(difference_sd, personas, target)?,
    })
}

fn smallest(
    splits: impl Iterator<Item = Result<Split, StatsError>>,
    key: impl Fn(&Split) -> f64,
) -> Result<Split, StatsError> {
    let splits = splits.collect::<Result<Vec<Split>, StatsError>>()?;
    let best = splits.into_iter().min_by(|a, b| key(a).total_cmp(&key(b)));
    Ok(best.expect("one repeat is always among the candidates"))
}

#[cfg(test)]
mod tests {
    use super::{Costs, Spread, best_repeats, best_split, cheapest_split};
    use crate::{PowerTarget, Sides, StatsError};

    const TARGET: PowerTarget = PowerTarget {
        alpha: 0.05,
        power: 0.8,
        sides: Sides::Two,
    };
    const SPREAD: Spread = Spread {
        between: 0.01,
        within: 0.04,
    };

    #[test]
    fn free_personas_leave_one_conversation_each() {
        let costs = Costs {
            persona: 0.0,
            conversation: 1.0,
        };
        let split = best_split(60.0, &SPREAD, &costs, &TARGET, 10).unwrap();
        assert_eq!((split.personas, split.repeats, split.cost), (60, 1, 60.0));
    }

    #[test]
    fn the_search_lands_next_to_the_closed_form() {
        let costs = Costs {
            persona: 4.0,
            conversation: 1.0,
        };
        assert_eq!(best_repeats(&SPREAD, &costs), Ok(4.0));
        let split = best_split(4000.0, &SPREAD, &costs, &TARGET, 12).unwrap();
        assert!((3..=5).contains(&split.repeats), "{split:?}");
        let cheapest = cheapest_split(0.02, &SPREAD, &costs, &TARGET, 12).unwrap();
        assert!((3..=5).contains(&cheapest.repeats), "{cheapest:?}");
        assert!(cheapest.minimal_detectable_effect <= 0.02);
    }

    #[test]
    fn budgets_without_an_answer_are_errors() {
        let costs = Costs {
            persona: 4.0,
            conversation: 1.0,
        };
        let poor = best_split(9.0, &SPREAD, &costs, &TARGET, 3);
        assert!(matches!(
            poor,
            Err(StatsError::TooFew {
                needed: 2,
                got: 1,
                ..
            })
        ));
        let alike = Spread {
            between: 0.0,
            within: 1.0,
        };
        assert!(matches!(
            best_repeats(&alike, &costs),
            Err(StatsError::Undefined { .. })
        ));
        let none = Spread {
            between: 0.0,
            within: 0.0,
        };
        assert!(matches!(
            none.difference_sd(3),
            Err(StatsError::OutOfRange { .. })
        ));
    }
}
