use std::path::Path;

use serde::Serialize;

use super::front_matter::{self, FrontMatter, Node};
use super::model_id::{Extent, ModelId, title};
use crate::error::ModelError;

/// Name of the file that a model's card is.
const FILE: &str = "README.md";

/// Keys by which a card says the same; the first that says anything counts.
const NAME: &[&str] = &["name", "model_name"];
const AUTHOR: &[&str] = &["author", "model_author", "model_creator"];
const VERSION: &[&str] = &["version", "model_version"];
const ORGANIZATION: &[&str] = &["organization", "model_organization"];
const DESCRIPTION: &[&str] = &["description", "model_description"];
const FINETUNE: &[&str] = &["finetune", "model_finetune"];
const BASENAME: &[&str] = &["basename", "model_basename", "model_type"];
const SIZE_LABEL: &[&str] = &["size_label", "model_size_label"];
const URL: &[&str] = &["url", "model_url"];
const DOI: &[&str] = &["doi", "model_doi"];
const UUID: &[&str] = &["uuid", "model_uuid"];
const REPO_URL: &[&str] = &["repo_url", "model_repo_url"];
const LICENSE: &[&str] = &["license"];
const LICENSE_NAME: &[&str] = &["license_name"];
const LICENSE_LINK: &[&str] = &["license_link"];
/// Of these, the first that is there counts, even if it says nothing.
const BASE_MODELS: &[&str] = &["base_model", "base_models", "base_model_sources"];
const DATASETS: &[&str] = &["datasets", "dataset", "dataset_sources"];
/// Of these, all count.
const TAGS: &[&str] = &["tags", "pipeline_tag"];
const LANGUAGES: &[&str] = &["languages", "language"];

/// What a model card's front matter says, by the habits of Hugging Face and llama.cpp.
///
/// A list that is there and empty says that there is none; so does an empty string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are all there is to say")]
pub struct ModelCard {
    pub name: Option<String>,
    pub author: Option<String>,
    pub version: Option<String>,
    pub organization: Option<String>,
    pub description: Option<String>,
    pub finetune: Option<String>,
    pub basename: Option<String>,
    pub size_label: Option<String>,
    pub url: Option<String>,
    pub doi: Option<String>,
    pub uuid: Option<String>,
    pub repo_url: Option<String>,
    pub license: Option<String>,
    pub license_name: Option<String>,
    pub license_link: Option<String>,
    pub base_models: Option<Vec<Source>>,
    pub datasets: Option<Vec<Source>>,
    pub tags: Option<Vec<String>>,
    pub languages: Option<Vec<String>>,
}

/// A model or a data set that a model comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names are all there is to say")]
pub struct Source {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doi: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo_url: Option<String>,
}

impl ModelCard {
    /// Reads the card of a directory; an empty one if there is none or it has no front matter.
    ///
    /// Errors with the line if the front matter is not YAML.
    pub fn read(directory: &Path) -> Result<Self, ModelError> {
        let wanted = [
            NAME,
            AUTHOR,
            VERSION,
            ORGANIZATION,
            DESCRIPTION,
            FINETUNE,
            BASENAME,
            SIZE_LABEL,
            URL,
            DOI,
            UUID,
            REPO_URL,
            LICENSE,
            LICENSE_NAME,
            LICENSE_LINK,
            BASE_MODELS,
            DATASETS,
            TAGS,
            LANGUAGES,
        ];
        let fields = front_matter::read(&directory.join(FILE), &wanted.concat())?;
        let text = |keys: &[&str]| keys.iter().find_map(|key| text(fields.get(*key)?));
        Ok(Self {
            name: text(NAME),
            author: text(AUTHOR),
            version: text(VERSION),
            organization: text(ORGANIZATION),
            description: text(DESCRIPTION),
            finetune: text(FINETUNE),
            basename: text(BASENAME),
            size_label: text(SIZE_LABEL),
            url: text(URL),
            doi: text(DOI),
            uuid: text(UUID),
            repo_url: text(REPO_URL),
            license: text(LICENSE),
            license_name: text(LICENSE_NAME),
            license_link: text(LICENSE_LINK),
            base_models: sources(&fields, BASE_MODELS),
            datasets: sources(&fields, DATASETS),
            tags: all(&fields, TAGS),
            languages: all(&fields, LANGUAGES),
        })
    }
}

/// Returns a value as text, the parts of a list with commas between them.
fn text(node: &Node) -> Option<String> {
    match node {
        Node::Text(text) => Some(text.clone()),
        Node::List(nodes) => {
            let texts: Vec<String> = nodes.iter().filter_map(text).collect();
            Some(texts.join(","))
        }
        Node::Null | Node::Map(_) => None,
    }
}

/// Returns all texts under all of the keys.
fn all(fields: &FrontMatter, keys: &[&str]) -> Option<Vec<String>> {
    let mut found = None;
    for node in keys.iter().filter_map(|key| fields.get(*key)) {
        let nodes = match node {
            Node::Null => continue,
            Node::List(nodes) => nodes.as_slice(),
            node => std::slice::from_ref(node),
        };
        let texts = nodes.iter().filter_map(|node| match node {
            Node::Text(text) => Some(text.clone()),
            _ => None,
        });
        found.get_or_insert_with(Vec::new).extend(texts);
    }
    found
}

fn sources(fields: &FrontMatter, keys: &[&str]) -> Option<Vec<Source>> {
    let node = keys.iter().find_map(|key| fields.get(*key))?;
    let nodes = match node {
        Node::Text(_) => std::slice::from_ref(node),
        Node::List(nodes) => nodes.as_slice(),
        Node::Null | Node::Map(_) => &[],
    };
    let sources = nodes.iter().filter_map(|node| match node {
        Node::Text(id) => Some(Source::of_id(id)),
        Node::Map(fields) => Some(Source::described(fields)),
        Node::Null | Node::List(_) => None,
    });
    Some(sources.collect())
}

impl Source {
    /// Reads what a card or an adapter calls a model or data set: an id of the hub, an address, a name
    /// or a path.
    ///
    /// Of a path on some machine only the last part is kept.
    pub fn of_id(id: &str) -> Self {
        if ["http://", "https://", "ssh://"]
            .iter()
            .any(|scheme| id.starts_with(scheme))
        {
            let of_hub = hub_id(id).map(Self::named).unwrap_or_default();
            return Self {
                repo_url: Some(id.to_owned()),
                ..of_hub
            };
        }
        if is_path(id) {
            let parts = id.split(['/', '\\']);
            let last = parts
                .rev()
                .find(|part| !part.is_empty())
                .unwrap_or_default();
            return Self::named(last);
        }
        let source = Self::named(id);
        let repo_url = id
            .split_once('/')
            .filter(|_| source.organization.is_some())
            .map(|(organization, name)| format!("https://huggingface.co/{organization}/{name}"));
        Self { repo_url, ..source }
    }

    fn named(id: &str) -> Self {
        let id = ModelId::parse(id, Extent::Unknown);
        Self {
            name: id.name.as_deref().map(title),
            organization: id.organization.as_deref().map(title),
            version: id.version,
            ..Self::default()
        }
    }

    fn described(fields: &FrontMatter) -> Self {
        let text = |key: &str| fields.get(key).and_then(text);
        Self {
            name: text("name"),
            author: text("author"),
            version: text("version"),
            organization: text("organization"),
            description: text("description"),
            url: text("url"),
            doi: text("doi"),
            uuid: text("uuid"),
            repo_url: text("repo_url"),
        }
    }
}

/// Returns the id in the address of a model's page on the hub.
fn hub_id(address: &str) -> Option<&str> {
    let rest = address.strip_prefix("https://");
    let rest = rest.or_else(|| address.strip_prefix("http://"))?;
    let id = rest.strip_prefix("huggingface.co/")?;
    let (organization, name) = id.split_once('/')?;
    let whole = !organization.is_empty() && !name.is_empty() && !name.contains('/');
    whole.then_some(id)
}

/// Tells whether an id is rather a path on some machine.
pub(super) fn is_path(id: &str) -> bool {
    id.starts_with(['/', '.', '~']) || id.contains('\\') || id.matches('/').count() > 1
}
