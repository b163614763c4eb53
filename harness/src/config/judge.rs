use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use shipworthy_schema::ModelName;

use super::model_entry::entry_with;
use super::{Count, JudgeSampling};

/// Who judges: `none` (deterministic checks alone), a language model, or several.
#[derive(Clone, Debug, Default)]
pub enum JudgeConfig {
    /// Deterministic checks alone.
    #[default]
    None,
    /// Language models asked by the rubric, at least one, no two with one name.
    Llm(Vec<JudgeEntry>),
}

impl JudgeConfig {
    /// Returns the judges.
    pub fn entries(&self) -> &[JudgeEntry] {
        match self {
            Self::None => &[],
            Self::Llm(entries) => entries,
        }
    }
}

struct Defaults {
    name: ModelName,
    repeats: Count,
    sampling: JudgeSampling,
    allow_same_model: bool,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            name: ModelName::new("judge").expect("`judge` is a name"),
            repeats: Count::new(1).expect("1 is above 0"),
            sampling: JudgeSampling::default(),
            allow_same_model: false,
        }
    }
}

entry_with! {
    /// A language model that judges.
    JudgeEntry, Defaults {
        /// What reports call it; where there are several, each has its own.
        #[schemars(with = "Option<String>")]
        name: ModelName,
        /// Judgements of each conversation.
        repeats: Count,
        /// How it draws tokens.
        sampling: JudgeSampling,
        /// Lets a model judge its own conversations.
        allow_same_model: bool,
    }
}

impl<'de> Deserialize<'de> for JudgeConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NoneOrModels;

        impl<'de> Visitor<'de> for NoneOrModels {
            type Value = JudgeConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`none`, a model such as `{url: …, model: …}`, or a list of models")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<JudgeConfig, E> {
                match text {
                    "none" => Ok(JudgeConfig::None),
                    _ => Err(E::custom(format!(
                        "`{text}` is not a judge: write `none`, a model such as \
                         `{{url: …, model: …}}`, or a list of models"
                    ))),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<JudgeConfig, A::Error> {
                let entry = JudgeEntry::deserialize(MapAccessDeserializer::new(map))?;
                Ok(JudgeConfig::Llm(vec![entry]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<JudgeConfig, A::Error> {
                let entries = Vec::<JudgeEntry>::deserialize(SeqAccessDeserializer::new(seq))?;
                if entries.is_empty() {
                    return Err(A::Error::custom(
                        "the list of judges is empty; write `none`",
                    ));
                }
                let mut names = BTreeSet::new();
                match entries.iter().find(|entry| !names.insert(&entry.name)) {
                    Some(twice) => Err(A::Error::custom(format!(
                        "two judges are named `{}`; give each a `name` of its own",
                        twice.name
                    ))),
                    None => Ok(JudgeConfig::Llm(entries)),
                }
            }
        }

        deserializer.deserialize_any(NoneOrModels)
    }
}

impl JsonSchema for JudgeConfig {
    fn schema_name() -> Cow<'static, str> {
        "JudgeConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let entry = generator.subschema_for::<JudgeEntry>();
        let list = json_schema!({ "type": "array", "items": entry, "minItems": 1 });
        json_schema!({ "anyOf": [{ "const": "none" }, entry, list] })
    }
}
