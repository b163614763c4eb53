use schemars::JsonSchema;
use serde::Deserialize;
use shipworthy_schema::{Sampling, range};

/// Declares how a role draws tokens: a field that is left out takes the role's own default.
macro_rules! sampling_of {
    ($(#[$doc:meta])* $name:ident, $default:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            /// 0 picks the likeliest token; at most 2.
            #[serde(deserialize_with = "range::temperature")]
            temperature: f64,
            /// Nucleus mass in (0, 1]; 1 is off.
            #[serde(deserialize_with = "range::positive_share")]
            top_p: f64,
            /// Number of likeliest tokens kept; 0 is off.
            top_k: u32,
            /// Least probability relative to the likeliest token, in [0, 1]; 0 is off.
            #[serde(deserialize_with = "range::share")]
            min_p: f64,
            /// Most tokens in one reply.
            #[serde(deserialize_with = "range::positive")]
            max_tokens: u32,
            /// Every call's own seed is derived from this one.
            seed: u64,
        }

        impl Default for $name {
            fn default() -> Self {
                let Sampling { temperature, top_p, top_k, min_p, max_tokens, seed } = $default;
                Self { temperature, top_p, top_k, min_p, max_tokens, seed }
            }
        }

        impl From<&$name> for Sampling {
            fn from(sampling: &$name) -> Self {
                let $name { temperature, top_p, top_k, min_p, max_tokens, seed } = *sampling;
                Self { temperature, top_p, top_k, min_p, max_tokens, seed }
            }
        }
    };
}

sampling_of! {
    /// How a judge draws tokens: the likeliest one, and many of them.
    JudgeSampling,
    Sampling { temperature: 0.0, top_p: 1.0, max_tokens: 1024, ..Sampling::default() }
}

sampling_of! {
    /// How a language model that plays the personas draws tokens.
    SimulatorSampling,
    Sampling { max_tokens: 200, ..Sampling::default() }
}
