use std::path::Path;

use shipworthy_harness::run_directory::WriteError;

use super::project::DEFAULT_CONFIG;

/// A project to start from.
pub(crate) struct Template {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// The file to edit.
    pub(crate) config: &'static str,
    /// Its files by path.
    files: &'static [(&'static str, &'static [u8])],
}

macro_rules! example {
    ($path:literal) => {
        (
            $path,
            include_bytes!(concat!("../../../examples/coaching/", $path)),
        )
    };
}

/// What `shipworthy train` reads.
const FINETUNE_CONFIG: &str = "finetune_config.yaml";

const IGNORED: (&str, &[u8]) = (".gitignore", b".shipworthy/\ncandidates/\nruns/\n");

/// All templates; the first is the demo's.
pub(crate) const TEMPLATES: [Template; 4] = [
    Template {
        name: "coaching",
        config: DEFAULT_CONFIG,
        files: &[
            IGNORED,
            example!("README.md"),
            example!("tuning/attentive.yaml"),
            example!("tuning/careless.yaml"),
            example!("tuning/untrained.yaml"),
            example!("data/careless.jsonl"),
            example!("models/base/config.json"),
            example!("models/base/model.safetensors"),
            example!("models/base/tokenizer.json"),
            example!("models/base/tokenizer_config.json"),
            example!("shipworthy.yaml"),
            example!("teacher.jsonl"),
        ],
    },
    Template {
        name: "customer-support",
        config: DEFAULT_CONFIG,
        files: &[
            IGNORED,
            (
                "shipworthy.yaml",
                include_bytes!("templates/customer-support.yaml"),
            ),
        ],
    },
    Template {
        name: "creative-writing",
        config: DEFAULT_CONFIG,
        files: &[
            IGNORED,
            (
                "shipworthy.yaml",
                include_bytes!("templates/creative-writing.yaml"),
            ),
        ],
    },
    Template {
        name: "finetune",
        config: FINETUNE_CONFIG,
        files: &[(
            FINETUNE_CONFIG,
            include_bytes!("templates/finetune_config.yaml"),
        )],
    },
];

impl Template {
    /// Writes the files into `directory`; a file that is there already is left as it is.
    ///
    /// Returns the paths written.
    pub(crate) fn write(&self, directory: &Path) -> Result<Vec<&'static str>, WriteError> {
        let mut written = Vec::new();
        for (name, content) in self.files {
            let path = directory.join(name);
            let failed = |source| WriteError {
                path: path.clone(),
                source,
            };
            if path.exists() {
                continue;
            }
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(failed)?;
            }
            std::fs::write(&path, content).map_err(failed)?;
            written.push(*name);
        }
        Ok(written)
    }
}
