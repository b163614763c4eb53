use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{CallRole, ModelName};

/// A currency by its three letters (ISO 4217), e.g. `EUR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Default for Currency {
    fn default() -> Self {
        Self(*b"USD")
    }
}

impl TryFrom<String> for Currency {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(letters) if letters.iter().all(u8::is_ascii_uppercase) => Ok(Self(letters)),
            _ => Err(format!(
                "`{text}` is no currency: give its three letters, such as USD"
            )),
        }
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.to_string()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|c| write!(f, "{}", *c as char))
    }
}

/// A sum over calls, of which some may not have told their part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The sum over those that told; `None` where none did.
    pub sum: Option<u64>,
    /// Calls that did not tell: with any, the sum is a least one.
    pub uncounted: u64,
}

impl Tally {
    /// Returns both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let sum = match (self.sum, other.sum) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        let uncounted = self.uncounted.saturating_add(other.uncounted);
        Self { sum, uncounted }
    }
}

/// What calls took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CallSums {
    /// Replies, those that could not be used included. Tries without a reply are not counted.
    pub calls: u64,
    /// Tokens read, cached ones included.
    pub prompt_tokens: Tally,
    /// Of these, the ones from a server's cache; only where they have a price of their own, since how
    /// many they are depends on what else the server did.
    pub cached_tokens: Option<Tally>,
    /// Tokens written, reasoning included.
    pub completion_tokens: Tally,
    /// Of these, the ones of reasoning, where servers count them.
    pub reasoning_tokens: Tally,
    /// What that costs; `None` where no cost is known.
    pub money: Option<f64>,
    /// Calls whose cost is not known, for want of a price or of counts: with any, `money` is a least
    /// one.
    pub unpriced_calls: u64,
}

impl CallSums {
    /// Returns both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let cached_tokens = match (self.cached_tokens, other.cached_tokens) {
            (Some(a), Some(b)) => Some(a.plus(b)),
            (a, b) => a.or(b),
        };
        let money = match (self.money, other.money) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        Self {
            calls: self.calls + other.calls,
            prompt_tokens: self.prompt_tokens.plus(other.prompt_tokens),
            cached_tokens,
            completion_tokens: self.completion_tokens.plus(other.completion_tokens),
            reasoning_tokens: self.reasoning_tokens.plus(other.reasoning_tokens),
            money,
            unpriced_calls: self.unpriced_calls + other.unpriced_calls,
        }
    }
}

/// What the calls of one model in one role took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostPart {
    /// Whose calls.
    pub role: CallRole,
    /// The model's name; `None` for a judge's calls in a run of an earlier version.
    pub model: Option<ModelName>,
    /// What they took.
    pub sums: CallSums,
}

/// What an evaluation's calls took, counted from stored replies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// What `money` is in; `None` where no model has a price.
    pub currency: Option<Currency>,
    /// By role, then name.
    pub parts: Vec<CostPart>,
    /// The conversations: models under test and whoever played the people.
    pub conversations: CallSums,
    /// The judges.
    pub judging: CallSums,
}

impl Cost {
    /// Returns what all calls cost together; `None` where no cost is known.
    pub fn money(&self) -> Option<f64> {
        self.conversations.plus(&self.judging).money
    }
}

#[cfg(test)]
mod tests {
    use super::{CallSums, Currency, Tally};

    #[test]
    fn what_is_not_told_makes_a_sum_a_least_one() {
        let told = Tally {
            sum: Some(5),
            uncounted: 0,
        };
        let silent = Tally {
            sum: None,
            uncounted: 2,
        };
        let both = told.plus(silent);
        assert_eq!((both.sum, both.uncounted), (Some(5), 2));
        assert_eq!(silent.plus(silent).sum, None, "unknown is never 0");
        let priced = CallSums {
            money: Some(0.5),
            ..CallSums::default()
        };
        let free = CallSums {
            unpriced_calls: 3,
            ..CallSums::default()
        };
        let both = priced.plus(&free);
        assert_eq!((both.money, both.unpriced_calls), (Some(0.5), 3));
    }

    #[test]
    fn a_currency_is_three_capital_letters() {
        let read = |text: &str| serde_json::from_str::<Currency>(text);
        assert_eq!(read("\"EUR\"").unwrap().to_string(), "EUR");
        for text in ["\"euro\"", "\"eur\"", "\"€\"", "\"\""] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
