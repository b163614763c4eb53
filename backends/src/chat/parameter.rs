use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A parameter of requests that some servers refuse, by its name in the chat completions API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameter {
    /// How long a reply may be: sent as `max_completion_tokens` instead, which is what OpenAI's
    /// reasoning models want.
    MaxTokens,
    /// A floor under a token's probability, as a share of the likeliest one's.
    MinP,
    /// Where the draws begin.
    Seed,
    /// How evenly tokens are drawn; some models take only 1.
    Temperature,
    /// How many tokens are drawn among.
    TopK,
    /// Which share of probability is drawn among.
    TopP,
}

impl Parameter {
    const ALL: [Self; 6] = [
        Self::MaxTokens,
        Self::MinP,
        Self::Seed,
        Self::Temperature,
        Self::TopK,
        Self::TopP,
    ];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MinP => "min_p",
            Self::Seed => "seed",
            Self::Temperature => "temperature",
            Self::TopK => "top_k",
            Self::TopP => "top_p",
        }
    }

    /// Returns the first parameter that is named in `words`, a server's reason to refuse a request, and
    /// is not among `known`.
    pub fn named_in(words: &str, known: &BTreeSet<Self>) -> Option<Self> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut names = words.split(|c| !is_part(c));
        names.find_map(|name| {
            let mut all = Self::ALL.into_iter();
            all.find(|parameter| parameter.name() == name && !known.contains(parameter))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use test_case::test_case;

    use super::Parameter;

    #[test_case(
        "HTTP 400: Unrecognized request argument supplied: top_k (invalid_request_error)",
        Some(Parameter::TopK)
    )]
    #[test_case("Unknown parameter: 'min_p'.", Some(Parameter::MinP))]
    #[test_case(
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        Some(Parameter::MaxTokens)
    )]
    #[test_case(
        "'temperature' does not support 0.7 with this model.",
        Some(Parameter::Temperature)
    )]
    #[test_case(
        r#"{"detail":[{"type":"extra_forbidden","loc":["body","seed"]}]}"#,
        Some(Parameter::Seed)
    )]
    #[test_case("Invalid 'max_completion_tokens'", None; "another name")]
    #[test_case("top_p", None; "known already")]
    #[test_case("System role not supported", None; "none")]
    fn a_refusal_names_a_parameter(words: &str, expected: Option<Parameter>) {
        let known = BTreeSet::from([Parameter::TopP]);
        assert_eq!(Parameter::named_in(words, &known), expected);
    }
}
