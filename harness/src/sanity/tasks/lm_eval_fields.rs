//! Fields of lm-eval's task files: which are read, which say nothing here, and which are refused.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::TaskProblem;
use super::item_fields::{kind, texts};

/// Fields that are read.
const READ: [&str; 17] = [
    "task",
    "dataset_path",
    "dataset_kwargs",
    "test_split",
    "validation_split",
    "output_type",
    "doc_to_text",
    "doc_to_choice",
    "doc_to_target",
    "description",
    "target_delimiter",
    "fewshot_delimiter",
    "metric_list",
    "generation_kwargs",
    "num_fewshot",
    "repeats",
    "unsafe_code",
];
/// Fields that say nothing of what is computed without examples in the prompt.
const SILENT: [&str; 8] = [
    "task_alias",
    "tag",
    "group",
    "training_split",
    "fewshot_split",
    "metadata",
    "should_decontaminate",
    "doc_to_decontamination_query",
];
const SUPPORTED: &str = "local JSON, CSV or Parquet data, templates, no examples in the prompt";

/// The fields of a task file.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// Takes fields; errors with one that is neither read nor silent, unless it is null or empty.
    pub(super) fn new(fields: Map<String, Value>) -> Result<Self, TaskProblem> {
        let says_nothing = |value: &Value| {
            value.is_null() || value.as_array().is_some_and(Vec::is_empty) || value == ""
        };
        let unknown = fields.iter().find(|(name, value)| {
            let name = name.as_str();
            !READ.contains(&name) && !SILENT.contains(&name) && !says_nothing(value)
        });
        match unknown {
            Some((name, _)) => Err(unsupported(name, "it", SUPPORTED)),
            None => Ok(Self(fields)),
        }
    }

    /// Returns a field, if it is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Returns a text; errors where it is something else.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, TaskProblem> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match value.as_str() {
            Some(text) => Ok(Some(text)),
            None => Err(wrong(name, "a text", value)),
        }
    }

    /// Errors unless a field is missing or has the value that is supported.
    pub(super) fn only(
        &self,
        name: &str,
        value: &Value,
        supported: &'static str,
    ) -> Result<(), TaskProblem> {
        match self.get(name).filter(|found| *found != value) {
            Some(found) => Err(unsupported(name, &kind(found), supported)),
            None => Ok(()),
        }
    }

    /// Returns the files that hold the questions: of `test_split`, else of `validation_split`.
    pub(super) fn data_files(&self, directory: &Path) -> Result<Vec<PathBuf>, TaskProblem> {
        const KWARGS: &str = "dataset_kwargs";
        let expected = "`data_files` and nothing else";
        let path = self.text("dataset_path")?.unwrap_or_default();
        if !["json", "csv", "parquet"].contains(&path) {
            let what = format!("`{path}`");
            return Err(unsupported(
                "dataset_path",
                &what,
                "`json`, `csv` or `parquet`",
            ));
        }
        let kwargs = self.get(KWARGS).and_then(Value::as_object);
        let files = kwargs.filter(|kwargs| kwargs.keys().eq(["data_files"]));
        let Some(files) = files.map(|kwargs| &kwargs["data_files"]) else {
            let found = self.get(KWARGS).map_or_else(
                || "nothing".to_owned(),
                |value| match value {
                    Value::Object(fields) => fields.keys().cloned().collect::<Vec<_>>().join(", "),
                    value => kind(value),
                },
            );
            return Err(unsupported(KWARGS, &found, expected));
        };
        let split = match self.text("test_split")? {
            Some(split) => split,
            None => self
                .text("validation_split")?
                .ok_or_else(|| TaskProblem::Field {
                    field: "test_split".to_owned(),
                    expected: "the split that holds the questions",
                    got: "nothing".to_owned(),
                })?,
        };
        let files = match files {
            Value::Object(splits) => splits.get(split),
            // The library calls a lone split so.
            files => Some(files).filter(|_| split == "train"),
        };
        let named = files.and_then(|files| match files {
            Value::String(file) => Some(vec![file.clone()]),
            files => texts(files),
        });
        let Some(named) = named.filter(|named| !named.is_empty()) else {
            return Err(TaskProblem::Field {
                field: format!("{KWARGS}.data_files"),
                expected: "a file or files for the split of the questions",
                got: format!("none for `{split}`"),
            });
        };
        let local = named.into_iter().map(|file| {
            if file.contains("://") || file.contains(['*', '?', '[']) {
                return Err(unsupported(
                    "dataset_kwargs.data_files",
                    &format!("`{file}`"),
                    "paths of local files",
                ));
            }
            // lm-eval takes them from where it is called; beside the task is where they move with it.
            let beside = directory.join(&file);
            Ok(if beside.exists() { beside } else { file.into() })
        });
        local.collect()
    }
}

/// Returns that a field asks for something that is not done here.
pub(super) fn unsupported(field: &str, what: &str, supported: &'static str) -> TaskProblem {
    TaskProblem::Unsupported {
        field: field.to_owned(),
        what: what.to_owned(),
        supported,
    }
}

/// Returns that a field is of another kind.
pub(super) fn wrong(field: &str, expected: &'static str, got: &Value) -> TaskProblem {
    TaskProblem::Field {
        field: field.to_owned(),
        expected,
        got: kind(got),
    }
}
