use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use shipworthy_schema::range;

/// Holds candidates to being no worse than a shipped model, rather than to being better.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RegressionConfig {
    /// What `gate --write-baseline` wrote of the shipped model; the run's own baseline if left out.
    pub baseline_file: Option<PathBuf>,
    /// Largest loss of the overall score that still counts as no worse, in score points.
    #[serde(deserialize_with = "range::positive_share")]
    pub margin: f64,
    /// Criteria that must be no worse, too, each with its margin.
    #[schemars(with = "BTreeMap<String, f64>")]
    pub criteria: BTreeMap<String, Margin>,
}

impl Default for RegressionConfig {
    fn default() -> Self {
        Self {
            baseline_file: None,
            margin: 0.05,
            criteria: BTreeMap::new(),
        }
    }
}

/// A loss that still counts as no worse: above 0 and at most 1.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Margin(#[serde(deserialize_with = "range::positive_share")] f64);

impl Margin {
    /// Returns the loss.
    pub fn get(self) -> f64 {
        self.0
    }
}
