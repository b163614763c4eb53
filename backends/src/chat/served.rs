use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::parameter::Parameter;

/// What a request leaves out or words otherwise, because a server or its chat template would refuse
/// it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adaptation {
    /// The system prompt stands at the head of the person's first message.
    pub fold_system: bool,
    /// No JSON schema is sent; the prompt alone asks for JSON.
    pub omit_schema: bool,
    /// Parameters that are not sent, or under another name.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub omit: BTreeSet<Parameter>,
}

/// What a server tells of itself besides what it serves; a field is `None` where it does not tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerFacts {
    /// Program and version, e.g. `llama-server b1234`.
    pub software: Option<String>,
    /// Tokens that one conversation may have, prompt and reply together.
    pub context: Option<u64>,
    /// Requests that it works on at once.
    pub slots: Option<usize>,
    /// Adapters that it has loaded beside the model, by their files or names.
    pub adapters: Vec<String>,
}

/// How a model goes on from a prompt when it takes the likeliest token each time.
#[derive(Clone, Debug, PartialEq)]
pub struct Fingerprint {
    /// What it says.
    pub text: String,
    /// The log probability of each of its tokens; empty where the server does not tell.
    pub log_probs: Vec<f64>,
}

impl Fingerprint {
    /// Returns how far two models are apart: infinite if they say different things, else the most
    /// that two log probabilities differ.
    pub fn distance(&self, other: &Self) -> f64 {
        if self.text != other.text || self.log_probs.len() != other.log_probs.len() {
            return f64::INFINITY;
        }
        let pairs = self.log_probs.iter().zip(&other.log_probs);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::Fingerprint;

    #[test]
    fn models_are_apart_by_words_or_by_probabilities() {
        let print = |text: &str, log_probs: &[f64]| Fingerprint {
            text: text.to_owned(),
            log_probs: log_probs.to_vec(),
        };
        let one = print("a b", &[-0.5, -1.0]);
        assert!(one.distance(&one.clone()) < 1e-12);
        assert!((one.distance(&print("a b", &[-0.75, -1.0])) - 0.25).abs() < 1e-12);
        assert!(one.distance(&print("a c", &[-0.5, -1.0])).is_infinite());
        assert!(one.distance(&print("a b", &[])).is_infinite());
    }
}
