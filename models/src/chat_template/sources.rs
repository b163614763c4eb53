use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::error::{ChatTemplateError, TemplateFault};
use super::sandbox::SOURCE_LIMIT;
use super::special_tokens::object;
use super::template::ChatTemplate;
use crate::bounded_file;
use crate::error::ModelError;

/// Name of the template that is taken if nothing else is said.
const DEFAULT: &str = "default";
/// Name of the template that is taken if there are tools.
const TOOL_USE: &str = "tool_use";
const FILE: &str = "chat_template.jinja";
const FOLDER: &str = "additional_chat_templates";
const CONFIG: &str = "tokenizer_config.json";
const LEGACY: &str = "chat_template.json";

/// The sources of a checkpoint's chat templates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatTemplates {
    /// The one taken if nothing else is said.
    pub default: Option<String>,
    /// The others, by name, e.g. `tool_use`.
    pub named: BTreeMap<String, String>,
}

impl ChatTemplates {
    /// Reads a checkpoint's templates, as transformers does.
    ///
    /// `chat_template.jinja` and `additional_chat_templates/*.jinja` come first; if there is none
    /// of them, `chat_template` in `tokenizer_config.json` (one template, or a list of named
    /// ones); last the `chat_template.json` of older image models. No template at all is no error.
    pub fn read(directory: &Path) -> Result<Self, ChatTemplateError> {
        let mut templates = Self::default();
        let file = directory.join(FILE);
        if file.exists() {
            templates.add(DEFAULT, read_text(&file)?);
        }
        let folder = directory.join(FOLDER);
        if folder.is_dir() {
            let failed = |source| {
                let error = ModelError::io("read", &folder)(source);
                ChatTemplateError::File(Box::new(error))
            };
            for entry in std::fs::read_dir(&folder).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                let name = path.file_name().and_then(|name| name.to_str());
                if let Some(name) = name.and_then(|name| name.strip_suffix(".jinja")) {
                    templates.add(name, read_text(&path)?);
                }
            }
        }
        for name in [CONFIG, LEGACY] {
            if templates.is_empty()
                && let Some(value) =
                    object(directory, name)?.and_then(|mut fields| fields.remove("chat_template"))
            {
                templates.add_value(value, &directory.join(name))?;
            }
        }
        Ok(templates)
    }

    /// Tells whether there is no template.
    pub fn is_empty(&self) -> bool {
        self.default.is_none() && self.named.is_empty()
    }

    /// Returns the names there are, `default` first.
    pub fn names(&self) -> Vec<&str> {
        let default = self.default.iter().map(|_| DEFAULT);
        default
            .chain(self.named.keys().map(String::as_str))
            .collect()
    }

    /// Makes a template ready to render: the one of that name; without a name `tool_use` if there
    /// are tools and such a template, else the default one.
    ///
    /// Errors with the names there are, or with what is wrong with the template.
    pub fn template(
        &self,
        name: Option<&str>,
        has_tools: bool,
    ) -> Result<ChatTemplate, ChatTemplateError> {
        let (name, source) = self.choose(name, has_tools)?;
        ChatTemplate::new(name, source)
    }

    fn choose<'a>(
        &'a self,
        name: Option<&'a str>,
        has_tools: bool,
    ) -> Result<(&'a str, &'a str), ChatTemplateError> {
        let names = || self.names().into_iter().map(str::to_owned).collect();
        if self.is_empty() {
            return Err(ChatTemplateError::None);
        }
        if let Some(name) = name {
            let source = self
                .source(name)
                .ok_or_else(|| ChatTemplateError::Unknown {
                    name: name.to_owned(),
                    names: names(),
                })?;
            return Ok((name, source));
        }
        let tool_use = Some(TOOL_USE).filter(|_| has_tools);
        [tool_use, Some(DEFAULT)]
            .into_iter()
            .flatten()
            .find_map(|name| Some((name, self.source(name)?)))
            .ok_or_else(|| ChatTemplateError::NoDefault { names: names() })
    }

    fn source(&self, name: &str) -> Option<&str> {
        match name {
            DEFAULT => self.default.as_deref(),
            _ => self.named.get(name).map(String::as_str),
        }
    }

    fn add(&mut self, name: &str, source: String) {
        if name == DEFAULT {
            self.default = Some(source);
        } else {
            self.named.insert(name.to_owned(), source);
        }
    }

    fn add_value(&mut self, value: Value, path: &Path) -> Result<(), ChatTemplateError> {
        let wrong = |field: String, expected| ChatTemplateError::Field {
            path: path.to_owned(),
            field,
            expected,
        };
        match value {
            Value::Null => {}
            Value::String(source) => self.add(DEFAULT, source),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let field = |name: &str| {
                        item.get(name).and_then(Value::as_str).ok_or_else(|| {
                            wrong(format!("chat_template[{index}].{name}"), "a text")
                        })
                    };
                    self.add(field("name")?, field("template")?.to_owned());
                }
            }
            _ => {
                let expected = "a text or a list of named templates";
                return Err(wrong("chat_template".to_owned(), expected));
            }
        }
        Ok(())
    }
}

/// Reads a template's file as Python reads text: every line end becomes `\n`.
fn read_text(path: &Path) -> Result<String, ChatTemplateError> {
    let bytes = bounded_file::read(path, SOURCE_LIMIT as u64)
        .map_err(|error| ChatTemplateError::File(Box::new(error)))?;
    let fail = |fault| ChatTemplateError::Template {
        name: path.display().to_string(),
        line: None,
        fault,
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        fail(TemplateFault::Syntax(format!("byte {at} is not UTF-8")))
    })?;
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}
