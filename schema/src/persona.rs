use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::PersonaId;

/// A person who talks with the models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Persona {
    /// Spec name and seed.
    pub id: PersonaId,
    /// The seed it was drawn from.
    pub seed: u32,
    /// The level each factor took, by factor name.
    pub levels: BTreeMap<String, String>,
}
