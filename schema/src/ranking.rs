use serde::{Deserialize, Serialize};

use crate::ModelName;

/// All models, the baseline among them, by mean score, and which are statistically tied.
///
/// Every pair is tested by the paired t-test on persona means, adjusted for all pairs by Holm. Two
/// models are tied if the test does not tell them apart; that is not proof that they are equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// Level below which an adjusted p tells two models apart: the gate's alpha.
    pub alpha: f64,
    /// The models, highest mean first, equal means in name order.
    pub models: Vec<RankedModel>,
    /// The largest sets of neighbours in which no pair is told apart, best first; a model can be in
    /// several.
    pub tied_sets: Vec<Vec<ModelName>>,
    /// Every pair's test.
    pub pairs: Vec<ModelPair>,
}

/// A model's place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankedModel {
    /// 1 + the number of models shown to be better.
    pub rank: u32,
    /// The model.
    pub model: ModelName,
    /// Mean over persona means.
    pub mean: f64,
    /// The models it is not told apart from, highest mean first.
    pub tied_with: Vec<ModelName>,
}

/// The test of one model against another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelPair {
    /// The model with the higher mean.
    pub higher: ModelName,
    /// The other one.
    pub lower: ModelName,
    /// Mean difference, higher − lower.
    pub difference: f64,
    /// Two-sided p of the paired t-test; `None` where it cannot be made.
    pub p_value: Option<f64>,
    /// `p_value` adjusted for all tested pairs by Holm.
    pub p_adjusted: Option<f64>,
    /// Why there is no test, where there is none.
    pub untested: Option<String>,
}
