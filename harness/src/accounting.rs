//! What the calls of a run took and cost, counted from stored replies: a run that was killed and
//! resumed counts what one that was not does.

use serde::{Deserialize, Serialize};
use shipworthy_schema::{CallRole, CallSums, Cost, CostPart, Currency, ModelName, Plan};

use crate::config::{Config, Price};
use crate::store::{RoleUsage, Store, StoreError};

/// What every model's tokens cost.
///
/// No part of the plan: other prices make no other evaluation. The store keeps the run's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PriceList {
    /// What they are in.
    pub currency: Currency,
    /// One entry for each model in each role; empty where the configuration has no price at all.
    pub prices: Vec<ModelPrice>,
}

/// What one model's tokens cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelPrice {
    /// Its role.
    pub role: CallRole,
    /// Its name.
    pub model: ModelName,
    /// The price; `None` where nobody knows.
    pub price: Option<Price>,
}

impl PriceList {
    /// Returns the prices that `config` has.
    pub fn of(config: &Config) -> Self {
        let entries = config.speakers();
        let has_price = entries.iter().any(|speaker| speaker.entry.has_price());
        let price = |speaker: &crate::config::SpeakerEntry<'_>| ModelPrice {
            role: speaker.role,
            model: speaker.name.clone(),
            price: speaker.entry.price(),
        };
        Self {
            currency: config.currency,
            prices: if has_price {
                entries.iter().map(price).collect()
            } else {
                Vec::new()
            },
        }
    }

    /// Returns the price of a model in a role.
    pub fn price(&self, role: CallRole, model: &ModelName) -> Option<Price> {
        let mut prices = self.prices.iter();
        let found = prices.find(|price| price.role == role && price.model == *model);
        found.and_then(|found| found.price)
    }

    /// Returns the currency, if there is any price.
    pub fn currency(&self) -> Option<Currency> {
        (!self.prices.is_empty()).then_some(self.currency)
    }
}

/// Returns what the calls of `run` took so far.
pub(crate) fn cost_of_run(store: &Store, run: &str, plan: &Plan) -> Result<Cost, StoreError> {
    let prices = store.prices(run)?.unwrap_or_default();
    Ok(cost(&store.usage(run)?, plan, &prices))
}

/// Returns what the calls cost that `run` made itself, so far; `None` where no cost is known.
pub(crate) fn money_of_run(
    store: &Store,
    run: &str,
    plan: &Plan,
) -> Result<Option<f64>, StoreError> {
    let prices = store.prices(run)?.unwrap_or_default();
    let cost = cost(&store.own_usage(run)?, plan, &prices);
    Ok(cost.conversations.plus(&cost.judging).money)
}

/// Returns what calls took and cost.
pub(crate) fn cost(usage: &[RoleUsage], plan: &Plan, prices: &PriceList) -> Cost {
    let part = |usage: &RoleUsage| {
        let model = model_of(usage, plan);
        let price = model.as_ref().and_then(|m| prices.price(usage.role, m));
        CostPart {
            role: usage.role,
            sums: sums(usage, price),
            model,
        }
    };
    let parts: Vec<CostPart> = usage.iter().map(part).collect();
    let together = |is_judging: bool| {
        let of_kind = parts
            .iter()
            .filter(|part| (part.role == CallRole::Judge) == is_judging);
        of_kind.fold(CallSums::default(), |sum, part| sum.plus(&part.sums))
    };
    Cost {
        currency: prices.currency(),
        conversations: together(false),
        judging: together(true),
        parts,
    }
}

/// Returns whose calls they were: earlier versions did not keep a judge's name.
fn model_of(usage: &RoleUsage, plan: &Plan) -> Option<ModelName> {
    match (&usage.model, plan.judges.as_slice()) {
        (Some(model), _) => Some(model.clone()),
        (None, [judge]) if usage.role == CallRole::Judge => Some(judge.model.name.clone()),
        _ => None,
    }
}

fn sums(usage: &RoleUsage, price: Option<Price>) -> CallSums {
    let counted = usage.counted;
    let priced = price.filter(|_| counted.calls > 0);
    CallSums {
        calls: usage.calls,
        prompt_tokens: usage.prompt_tokens,
        cached_tokens: price
            .and_then(|price| price.cached)
            .map(|_| usage.cached_tokens),
        completion_tokens: usage.completion_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        money: priced.map(|price| price.of(counted.prompt, counted.cached, counted.completion)),
        unpriced_calls: match price {
            Some(_) => usage.calls - counted.calls,
            None => usage.calls,
        },
    }
}

#[cfg(test)]
mod tests {
    use shipworthy_schema::{CallRole, Tally};

    use super::sums;
    use crate::config::Price;
    use crate::store::{CountedCalls, RoleUsage};

    #[test]
    fn calls_without_counts_make_the_cost_a_least_one() {
        let mut usage = RoleUsage {
            role: CallRole::Judge,
            model: None,
            calls: 3,
            prompt_tokens: Tally {
                sum: Some(1_000_000),
                uncounted: 1,
            },
            cached_tokens: Tally {
                sum: None,
                uncounted: 3,
            },
            completion_tokens: Tally {
                sum: Some(500_000),
                uncounted: 1,
            },
            reasoning_tokens: Tally::default(),
            counted: CountedCalls {
                calls: 2,
                prompt: 1_000_000,
                cached: 0,
                completion: 500_000,
            },
            seconds: 1.0,
        };
        let price = Price {
            prompt: 1.0,
            cached: None,
            completion: 4.0,
        };
        let cost = sums(&usage, Some(price));
        assert_eq!((cost.money, cost.unpriced_calls), (Some(3.0), 1));
        assert_eq!(
            cost.cached_tokens, None,
            "cached tokens have no price of their own"
        );
        let unknown = sums(&usage, None);
        assert_eq!((unknown.money, unknown.unpriced_calls), (None, 3));
        usage.counted = CountedCalls::default();
        let silent = sums(&usage, Some(price));
        assert_eq!(
            (silent.money, silent.unpriced_calls),
            (None, 3),
            "unknown is not 0"
        );
    }
}
