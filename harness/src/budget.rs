//! What a run may take: looked at before every call, over all processes that worked on the run.

use std::sync::{Mutex, PoisonError};

use shipworthy_schema::{CallRole, ChatRequest, Currency, ModelName, Plan, Usage};
use tokio::sync::Notify;

use crate::accounting::PriceList;
use crate::config::Budget;
use crate::cost_bound::most_prompt_tokens;
use crate::halt::{Halt, HaltReason};
use crate::store::RoleUsage;

/// Which budget does not hold the next call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Exhausted {
    /// `budget.calls`.
    Calls {
        /// The budget.
        limit: u64,
        /// Replies so far.
        spent: u64,
    },
    /// `budget.tokens`.
    Tokens {
        /// The budget.
        limit: u64,
        /// Tokens so far.
        spent: u64,
        /// What the next call may take at most.
        next: u64,
    },
    /// `budget.money`.
    Money {
        /// The budget.
        limit: f64,
        /// Money so far.
        spent: f64,
        /// What the next call may take at most.
        next: f64,
        /// What they are in.
        currency: Currency,
    },
}

impl Exhausted {
    /// Returns the budget's field in the configuration.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Calls { .. } => "budget.calls",
            Self::Tokens { .. } => "budget.tokens",
            Self::Money { .. } => "budget.money",
        }
    }

    /// Returns what was spent of how much, as the end of a sentence.
    pub(crate) fn words(&self) -> String {
        let field = self.field();
        match self {
            Self::Calls { limit, spent } => {
                format!("`{field}`, {limit}, holds no further call: {spent} were answered")
            }
            Self::Tokens { limit, spent, next } => format!(
                "`{field}`, {limit}, does not hold the next call: {spent} are spent, and it may take \
                 {next}"
            ),
            Self::Money {
                limit,
                spent,
                next,
                currency,
            } => format!(
                "`{field}`, {limit} {currency}, does not hold the next call: {spent:.4} are spent, and \
                 it may take {next:.4}"
            ),
        }
    }
}

/// Calls, tokens and money.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Amount {
    calls: u64,
    tokens: u64,
    money: f64,
}

impl Amount {
    fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            tokens: self.tokens.saturating_add(other.tokens),
            money: self.money + other.money,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(other.calls),
            tokens: self.tokens.saturating_sub(other.tokens),
            money: (self.money - other.money).max(0.0),
        }
    }
}

/// What a run has spent, and what calls under way may yet take.
pub(crate) struct Purse {
    budget: Budget,
    prices: PriceList,
    state: Mutex<State>,
    /// A call under way ended.
    settled: Notify,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    spent: Amount,
    held: Amount,
}

impl Purse {
    /// Returns the purse of a run whose stored calls are `usage`.
    ///
    /// A stored call that counts no tokens is taken for an average one of those that do.
    pub(crate) fn new(budget: Budget, prices: PriceList, plan: &Plan, usage: &[RoleUsage]) -> Self {
        let (calls, tokens) = usage.iter().fold((0, 0), |(calls, tokens), usage| {
            let counted = usage.counted;
            (
                calls + counted.calls,
                tokens + counted.prompt + counted.completion,
            )
        });
        let unknown = u64::from(plan.sampling.max_tokens) * u64::from(plan.personas.max_turns);
        let average = if calls > 0 {
            tokens.div_ceil(calls)
        } else {
            unknown
        };
        let spent = usage.iter().fold(Amount::default(), |sum, usage| {
            let counted = usage.counted;
            let uncounted = (usage.calls - counted.calls).saturating_mul(average);
            let price = usage
                .model
                .as_ref()
                .and_then(|m| prices.price(usage.role, m));
            sum.plus(Amount {
                calls: usage.calls,
                tokens: (counted.prompt + counted.completion).saturating_add(uncounted),
                money: price.map_or(0.0, |price| {
                    price.of(counted.prompt, counted.cached, counted.completion)
                        + price.of(uncounted, 0, 0)
                }),
            })
        });
        let held = Amount::default();
        Self {
            budget,
            prices,
            state: State { spent, held }.into(),
            settled: Notify::new(),
        }
    }

    /// Sets aside what a call may take at most, as soon as calls under way leave enough.
    ///
    /// Where what is spent leaves too little, however they end, the run is asked to end.
    pub(crate) async fn hold(
        &self,
        role: CallRole,
        model: &ModelName,
        request: &ChatRequest,
        halt: &Halt,
    ) -> Result<Held<'_>, HaltReason> {
        let read = most_prompt_tokens(request);
        let written = u64::from(request.sampling.max_tokens);
        let price = self.prices.price(role, model).unwrap_or_default();
        let need = Amount {
            calls: 1,
            tokens: read.saturating_add(written),
            money: read as f64 * price.dearest_prompt() / 1e6 + price.of(0, 0, written),
        };
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            // From here on no end of a call is missed.
            settled.as_mut().enable();
            {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(exhausted) = self.exhausted(state.spent, need) {
                    let reason = HaltReason::Budget(exhausted);
                    halt.request(reason);
                    return Err(reason);
                }
                if self.exhausted(state.spent.plus(state.held), need).is_none() {
                    state.held = state.held.plus(need);
                    return Ok(Held {
                        purse: self,
                        price: (role, model.clone()),
                        need,
                    });
                }
            }
            halt.or(settled).await?;
        }
    }

    /// Returns which budget does not hold `need` beside what is `spent`.
    fn exhausted(&self, spent: Amount, need: Amount) -> Option<Exhausted> {
        let after = spent.plus(need);
        let Budget {
            calls,
            tokens,
            money,
        } = self.budget;
        if let Some(limit) = calls.filter(|limit| after.calls > limit.get()) {
            return Some(Exhausted::Calls {
                limit: limit.get(),
                spent: spent.calls,
            });
        }
        if let Some(limit) = tokens.filter(|limit| after.tokens > limit.get()) {
            return Some(Exhausted::Tokens {
                limit: limit.get(),
                spent: spent.tokens,
                next: need.tokens,
            });
        }
        let limit = money.filter(|limit| after.money > *limit)?;
        Some(Exhausted::Money {
            limit,
            spent: spent.money,
            next: need.money,
            currency: self.prices.currency,
        })
    }
}

/// What is set aside for a call; given back when dropped.
pub(crate) struct Held<'a> {
    purse: &'a Purse,
    price: (CallRole, ModelName),
    need: Amount,
}

impl Held<'_> {
    /// Spends what the call took: all that was set aside, where the reply does not count it.
    pub(crate) fn pay(self, usage: Usage) {
        let taken = match (usage.prompt_tokens, usage.completion_tokens) {
            (Some(read), Some(written)) => {
                let (role, model) = &self.price;
                let price = self.purse.prices.price(*role, model).unwrap_or_default();
                Amount {
                    calls: 1,
                    tokens: read.saturating_add(written),
                    money: price.of(read, usage.cached_tokens.unwrap_or(0), written),
                }
            }
            _ => self.need,
        };
        let mut state = self
            .purse
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        state.spent = state.spent.plus(taken);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut state = self
            .purse
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        state.held = state.held.minus(self.need);
        drop(state);
        self.purse.settled.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shipworthy_schema::{CallRole, ChatRequest, Message, ModelName, Role, Sampling, Usage};
    use tokio::sync::Notify;

    use super::{Amount, Exhausted, Purse, State};
    use crate::accounting::PriceList;
    use crate::config::Budget;
    use crate::halt::{Halt, HaltReason};

    fn purse(budget: &str) -> Purse {
        Purse {
            budget: shipworthy_schema::yaml::read::<Budget>(budget, "b.yaml").unwrap(),
            prices: PriceList::default(),
            state: State::default().into(),
            settled: Notify::new(),
        }
    }

    fn request() -> ChatRequest {
        ChatRequest {
            thread: "base/p-1/1".to_owned(),
            messages: vec![Message::new(Role::User, "x".repeat(12))],
            sampling: Sampling {
                max_tokens: 100,
                ..Sampling::default()
            },
            response_schema: None,
        }
    }

    /// What `request` may take: 12 bytes, 32 around the message, 256 around the prompt, the reply.
    const NEED: u64 = 400;

    fn took(tokens: u64) -> Usage {
        Usage {
            prompt_tokens: Some(tokens),
            completion_tokens: Some(0),
            ..Usage::default()
        }
    }

    #[tokio::test]
    async fn a_call_waits_for_what_others_may_take_and_ends_the_run_only_for_what_is_spent() {
        let (purse, halt) = (purse("{tokens: 1000}"), Halt::default());
        let (model, request) = (ModelName::new("base").unwrap(), request());
        let hold = || purse.hold(CallRole::Model, &model, &request, &halt);
        let (first, second) = (hold().await.unwrap(), hold().await.unwrap());
        assert_eq!(first.need.tokens, NEED);
        let waiting = tokio::time::timeout(Duration::from_millis(20), hold()).await;
        assert!(waiting.is_err(), "800 are set aside");
        first.pay(took(50));
        let third = tokio::time::timeout(Duration::from_secs(5), hold())
            .await
            .unwrap()
            .unwrap();
        // A reply that counts nothing is taken for all it could be; a try that failed is given back.
        third.pay(Usage::default());
        drop(second);
        assert_eq!(purse.state.lock().unwrap().held, Amount::default());
        hold().await.unwrap().pay(took(200));
        let exhausted = Exhausted::Tokens {
            limit: 1000,
            spent: 650,
            next: NEED,
        };
        let reason = HaltReason::Budget(exhausted);
        assert_eq!(hold().await.err(), Some(reason));
        assert_eq!(halt.reason(), Some(reason));
        let words = exhausted.words();
        assert!(
            words.contains("`budget.tokens`, 1000,") && words.contains("650"),
            "{words}"
        );
    }
}
