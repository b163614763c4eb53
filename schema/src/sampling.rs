use serde::{Deserialize, Serialize};

/// How tokens are drawn. Every field is sent to every server, so that no default of a server
/// decides a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// 0 picks the likeliest token; at most 2.
    #[serde(deserialize_with = "crate::range::temperature")]
    pub temperature: f64,
    /// Nucleus mass in (0, 1]; 1 is off.
    #[serde(deserialize_with = "crate::range::positive_share")]
    pub top_p: f64,
    /// Number of likeliest tokens kept; 0 is off.
    pub top_k: u32,
    /// Least probability relative to the likeliest token, in [0, 1]; 0 is off.
    #[serde(deserialize_with = "crate::range::share")]
    pub min_p: f64,
    /// Most tokens in one reply.
    #[serde(deserialize_with = "crate::range::positive")]
    pub max_tokens: u32,
    /// Every turn's own seed is derived from this one.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.7,
            top_p: 0.95,
            top_k: 0,
            min_p: 0.0,
            max_tokens: 256,
            seed: 0,
        }
    }
}
