use schemars::JsonSchema;
use serde::Deserialize;
use shipworthy_schema::range;

/// Looks before all personas have spoken; each costs significance.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlyStoppingConfig {
    /// Personas that have spoken at each look, ascending; the last is all of them.
    pub looks: Vec<u32>,
    /// Chance of significance in the end, if the true gain were the gate's least gain, below which
    /// the run stops; 0 never stops for futility.
    #[serde(default = "default_futility", deserialize_with = "range::share")]
    pub futility: f64,
}

fn default_futility() -> f64 {
    0.10
}

impl EarlyStoppingConfig {
    /// Says what is wrong with the looks of a run of `count` personas and `models` models.
    pub(super) fn fault(&self, count: u32, models: usize) -> Option<String> {
        let looks = &self.looks;
        let ascends = looks.windows(2).all(|pair| pair[0] < pair[1]);
        if models != 2 {
            Some(format!(
                "early stopping is for one candidate, and there are {}",
                models - 1
            ))
        } else if looks.len() < 2 || !ascends || looks[0] < 3 {
            Some("expected at least two looks, ascending, from 3 personas up".to_owned())
        } else if looks.last() != Some(&count) {
            Some(format!(
                "the last look must be at all {count} personas (`personas.count`)"
            ))
        } else {
            None
        }
    }
}
