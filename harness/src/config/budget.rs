use std::num::NonZeroU64;

use schemars::JsonSchema;
use serde::Deserialize;
use shipworthy_schema::range;

/// What the calls of a run may take, over all processes that work on it; no part of the plan, so a
/// resumed run may have another. Time is bounded by `limits.deadline_s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Replies of all models, simulator and judges included.
    pub calls: Option<NonZeroU64>,
    /// Tokens of all models, read and written.
    pub tokens: Option<NonZeroU64>,
    /// Money, in the project's currency; every model at a `url` then needs a `price`.
    #[serde(deserialize_with = "range::positive_or_none")]
    pub money: Option<f64>,
}

impl Budget {
    /// Tells whether nothing is bounded.
    pub fn is_unbounded(&self) -> bool {
        *self == Self::default()
    }
}
