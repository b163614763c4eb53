use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::model_entry::entry_with;
use super::{Count, JudgeSampling};

/// Who judges: `none` (deterministic checks alone), or a language model.
#[derive(Clone, Debug, Default)]
pub enum JudgeConfig {
    /// Deterministic checks alone.
    #[default]
    None,
    /// A language model asked by the rubric.
    Llm(Box<JudgeEntry>),
}

struct Defaults {
    repeats: Count,
    sampling: JudgeSampling,
    allow_same_model: bool,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            repeats: Count::new(1).expect("1 is above 0"),
            sampling: JudgeSampling::default(),
            allow_same_model: false,
        }
    }
}

entry_with! {
    /// A language model that judges.
    JudgeEntry, Defaults {
        /// Judgements of each conversation, averaged.
        repeats: Count,
        /// How it draws tokens.
        sampling: JudgeSampling,
        /// Lets a model judge its own conversations.
        allow_same_model: bool,
    }
}

impl<'de> Deserialize<'de> for JudgeConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NoneOrModel;

        impl<'de> Visitor<'de> for NoneOrModel {
            type Value = JudgeConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`none` or a model such as `{url: …, model: …}`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<JudgeConfig, E> {
                match text {
                    "none" => Ok(JudgeConfig::None),
                    _ => Err(E::custom(format!(
                        "`{text}` is not a judge: write `none` or a model such as \
                         `{{url: …, model: …}}`"
                    ))),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<JudgeConfig, A::Error> {
                let entry = JudgeEntry::deserialize(MapAccessDeserializer::new(map))?;
                Ok(JudgeConfig::Llm(Box::new(entry)))
            }
        }

        deserializer.deserialize_any(NoneOrModel)
    }
}

impl JsonSchema for JudgeConfig {
    fn schema_name() -> Cow<'static, str> {
        "JudgeConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let entry = generator.subschema_for::<JudgeEntry>();
        json_schema!({ "anyOf": [{ "const": "none" }, entry] })
    }
}
