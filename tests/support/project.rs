//! A project in a directory of its own, and the command run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A project; its directory goes when dropped.
pub(crate) struct Project {
    directory: TempDir,
}

/// What a finished command left.
#[derive(Debug)]
pub(crate) struct Done {
    /// Exit code.
    pub(crate) code: i32,
    /// All of stdout.
    pub(crate) stdout: String,
    /// All of stderr.
    pub(crate) stderr: String,
}

impl Project {
    /// Makes an empty project.
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// Makes a project with this `shipworthy.yaml`.
    pub(crate) fn with_config(config: &str) -> Self {
        let project = Self::new();
        project.write("shipworthy.yaml", config);
        project
    }

    /// Returns the path of a file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Reads a file.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Returns the command in this directory, without what the tester's environment says.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shipworthy"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        for name in [
            "SHIPWORTHY_CONFIG",
            "SHIPWORTHY_LOG",
            "COLUMNS",
            "RUST_BACKTRACE",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        Done::of(&mut self.command(arguments))
    }

    /// Returns the directories of the runs, by name.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.path("runs")) else {
            return Vec::new();
        };
        let mut runs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        runs.sort();
        runs
    }

    /// Returns the only run's artefact `name`.
    pub(crate) fn artefact(&self, name: &str) -> String {
        let runs = self.runs();
        assert_eq!(runs.len(), 1, "{runs:?}");
        std::fs::read_to_string(runs[0].join(name)).unwrap()
    }

    /// Returns the only run's transcripts.
    pub(crate) fn transcripts(&self) -> Vec<Value> {
        json_lines(&self.artefact("transcripts.jsonl"))
    }

    /// Returns the path of the store.
    pub(crate) fn store(&self) -> PathBuf {
        self.path(".shipworthy/store.db")
    }
}

impl Done {
    /// Runs `command` to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asserts that the command failed with `code` and told `expected`.
    #[track_caller]
    pub(crate) fn assert_fails(&self, code: i32, expected: &str) {
        assert_eq!(self.code, code, "{self:?}");
        let told = &self.stderr;
        assert!(told.contains(expected), "expected `{expected}`: {told}");
        assert!(told.contains("error: "), "{self:?}");
        assert!(!told.contains("panicked"), "{self:?}");
    }

    /// Returns stdout as the JSON document it is.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Returns the values of a JSONL text.
pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Returns a file of the shipped example.
pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples/coaching")
        .join(name)
}
