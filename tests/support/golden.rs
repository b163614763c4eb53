use std::path::{Path, PathBuf};

use serde_json::Value;

use super::project::Project;

/// Returns a folder or file of the golden data.
pub(crate) fn golden(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("../tests/golden").join(name)
}

/// Copies a folder's files.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// A project with golden files under their last name.
pub(crate) fn project_with(names: &[&str]) -> Project {
    let project = Project::new();
    for name in names {
        let from = golden(name);
        let to = project.path(from.file_name().unwrap().to_str().unwrap());
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
    project
}

/// Has the `config.json` of the project's `base` say half of the hidden size that the weights have.
pub(crate) fn halve_hidden_size(project: &Project) {
    let mut config: Value = serde_json::from_str(&project.read("base/config.json")).unwrap();
    let size = config["hidden_size"].as_u64().unwrap();
    config["hidden_size"] = (size / 2).into();
    project.write("base/config.json", &config.to_string());
}
