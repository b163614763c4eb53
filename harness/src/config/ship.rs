use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use shipworthy_backends::hub::{RepositoryId, RepositoryKind};

/// What `shipworthy ship` does where its options do not say otherwise; no part of any plan.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ShipConfig {
    /// The model repository of the Hugging Face Hub, `OWNER/NAME`, that packages are pushed to; none
    /// if left out.
    #[serde(deserialize_with = "repository")]
    #[schemars(with = "Option<String>")]
    pub push: Option<RepositoryId>,
    /// Whether that repository is made public.
    pub public: bool,
    /// Whether the base with the adapter merged into it is added, for vLLM.
    pub merged: bool,
}

fn repository<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<RepositoryId>, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?;
    let repository = name.map(|name| RepositoryId::parse(RepositoryKind::Model, &name));
    repository.transpose().map_err(D::Error::custom)
}
