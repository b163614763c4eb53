use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use shipworthy_schema::ModelName;

use super::SimulatorSampling;
use super::model_entry::entry_with;

/// Who plays the personas: `rule-based`, or a language model.
#[derive(Clone, Debug, Default)]
pub enum SimulatorConfig {
    /// Deterministic text from the persona's own grammar.
    #[default]
    RuleBased,
    /// A language model prompted with the persona.
    Llm(Box<SimulatorEntry>),
}

impl SimulatorConfig {
    /// Returns what plans and reports call a language model that plays the people.
    pub fn name() -> ModelName {
        ModelName::new("simulator").expect("`simulator` is a name")
    }
}

#[derive(Default)]
struct Defaults {
    sampling: SimulatorSampling,
}

entry_with! {
    /// A language model that plays the personas.
    SimulatorEntry, Defaults {
        /// How it draws tokens.
        sampling: SimulatorSampling,
    }
}

impl<'de> Deserialize<'de> for SimulatorConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RuleBasedOrModel;

        impl<'de> Visitor<'de> for RuleBasedOrModel {
            type Value = SimulatorConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`rule-based` or a model such as `{url: …, model: …}`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<SimulatorConfig, E> {
                match text {
                    "rule-based" => Ok(SimulatorConfig::RuleBased),
                    _ => Err(E::custom(format!(
                        "`{text}` is not a simulator: write `rule-based` or a model such as \
                         `{{url: …, model: …}}`"
                    ))),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SimulatorConfig, A::Error> {
                let entry = SimulatorEntry::deserialize(MapAccessDeserializer::new(map))?;
                Ok(SimulatorConfig::Llm(Box::new(entry)))
            }
        }

        deserializer.deserialize_any(RuleBasedOrModel)
    }
}

impl JsonSchema for SimulatorConfig {
    fn schema_name() -> Cow<'static, str> {
        "SimulatorConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let entry = generator.subschema_for::<SimulatorEntry>();
        json_schema!({ "anyOf": [{ "const": "rule-based" }, entry] })
    }
}
