use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Who trains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrainerKind {
    /// This program, in this process.
    #[default]
    Native,
    /// TRL, in a Python on this machine, by a script that this program writes.
    Trl,
    /// TRL, by the same script, on a machine rented at the Hugging Face Hub.
    HfJobs,
}

impl TrainerKind {
    /// Returns its name as the configuration spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Trl => "trl",
            Self::HfJobs => "hf_jobs",
        }
    }

    /// Tells whether it runs a script that this program writes.
    pub fn runs_script(self) -> bool {
        matches!(self, Self::Trl | Self::HfJobs)
    }
}

/// What is trained on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceChoice {
    /// A CUDA card where there is one and this build can use it, else the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The first CUDA card.
    Cuda,
}

/// What is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Matrices of low rank beside the weights.
    Lora,
    /// The same, the weights kept in 4 bits (NF4).
    #[default]
    Qlora,
    /// All weights.
    Full,
}

impl Method {
    /// Returns its name as the configuration spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lora => "lora",
            Self::Qlora => "qlora",
            Self::Full => "full",
        }
    }
}

/// What is computed in; sums that need it are taken in 32 bits always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    /// `float32` on a processor, `bfloat16` on a card.
    #[default]
    Auto,
    /// 32 bits.
    Float32,
    /// The upper 16 of 32 bits.
    Bfloat16,
}

/// Which biases are trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bias {
    /// None.
    #[default]
    None,
    /// All the model has.
    All,
    /// Those of the modules that get matrices.
    LoraOnly,
}

/// What the learning rate does after warming up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LrSchedulerType {
    /// Falls to 0 along half a cosine.
    #[default]
    Cosine,
    /// Falls to 0 along a line.
    Linear,
    /// Stays, without warming up.
    Constant,
    /// Stays.
    ConstantWithWarmup,
}

/// The optimiser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Optim {
    /// `AdamW`, its state in 32 bits.
    #[default]
    #[serde(rename = "adamw_torch")]
    AdamwTorch,
    /// `AdamW`, its state in 8 bits.
    #[serde(rename = "adamw_8bit")]
    Adamw8bit,
}

/// What becomes of an example with more tokens than `max_length`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExcessLengthStrategy {
    /// It is an error.
    #[default]
    Raise,
    /// Its end is cut off.
    Truncate,
    /// It is left out.
    Drop,
}

/// The modules that get matrices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TargetModules {
    /// All linear modules but the head.
    #[default]
    AllLinear,
    /// Those whose name is one of these, or ends in a dot and one of these.
    Listed(Vec<String>),
}

const ALL_LINEAR: &str = "all-linear";

impl Serialize for TargetModules {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::AllLinear => serializer.serialize_str(ALL_LINEAR),
            Self::Listed(names) => names.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for TargetModules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AllLinearOrNames;

        impl<'de> Visitor<'de> for AllLinearOrNames {
            type Value = TargetModules;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`all-linear` or a list such as `[q_proj, v_proj]`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<TargetModules, E> {
                if text == ALL_LINEAR {
                    return Ok(TargetModules::AllLinear);
                }
                Err(E::custom(format!(
                    "`{text}` is neither `all-linear` nor a list such as `[q_proj, v_proj]`"
                )))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<TargetModules, A::Error> {
                let names = Vec::<String>::deserialize(SeqAccessDeserializer::new(names))?;
                if names.is_empty() {
                    return Err(A::Error::custom("an empty list trains nothing"));
                }
                Ok(TargetModules::Listed(names))
            }
        }

        deserializer.deserialize_any(AllLinearOrNames)
    }
}

impl JsonSchema for TargetModules {
    fn schema_name() -> Cow<'static, str> {
        "TargetModules".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "const": ALL_LINEAR },
                { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            ]
        })
    }
}
