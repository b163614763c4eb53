use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shipworthy_schema::range;

/// What a model's tokens cost, in the project's currency for a million of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// A million tokens read.
    #[serde(deserialize_with = "range::at_least_zero")]
    pub prompt: f64,
    /// A million tokens read from the server's cache; as `prompt` if left out.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "range::at_least_zero_or_none"
    )]
    pub cached: Option<f64>,
    /// A million tokens written, reasoning included.
    #[serde(deserialize_with = "range::at_least_zero")]
    pub completion: f64,
}

/// Tokens that a price is for.
const UNIT: f64 = 1e6;

impl Price {
    /// Returns what so many tokens cost; `cached` are among `prompt`.
    pub fn of(&self, prompt: u64, cached: u64, completion: u64) -> f64 {
        let cached = cached.min(prompt);
        let read = (prompt - cached) as f64 * self.prompt
            + cached as f64 * self.cached.unwrap_or(self.prompt);
        (read + completion as f64 * self.completion) / UNIT
    }

    /// Returns the price of a million tokens read, where nobody knows which of them are cached.
    pub fn dearest_prompt(&self) -> f64 {
        self.cached
            .map_or(self.prompt, |cached| cached.max(self.prompt))
    }
}

#[cfg(test)]
mod tests {
    use super::Price;

    #[test]
    fn cached_tokens_have_a_price_of_their_own() {
        let read = |text: &str| shipworthy_schema::yaml::read::<Price>(text, "p.yaml");
        let price = read("{prompt: 2, cached: 0.5, completion: 8}").unwrap();
        assert_eq!(price.of(1_000_000, 400_000, 250_000), 1.2 + 0.2 + 2.0);
        let plain = read("{prompt: 2, completion: 8}").unwrap();
        assert_eq!(plain.of(1_000_000, 400_000, 0), 2.0);
        assert_eq!(plain.of(10, 20, 0), 2e-5, "no more is cached than was read");
        for text in [
            "{prompt: -1, completion: 1}",
            "{prompt: .nan, completion: 1}",
            "{prompt: 1}",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
