use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use shipworthy_schema::SimulatorFlagKind;

/// What becomes of conversations in which the simulated person went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SimulatorAuditConfig {
    /// Conversations with one of these flags have no score and count as missing, for every model
    /// alike; none if left out.
    pub exclude: BTreeSet<SimulatorFlagKind>,
}
