use std::path::{Path, PathBuf};

use shipworthy_harness::config::Config;
use shipworthy_harness::store::{Run, RunState, Store};

use super::error::{Failure, Kind};

/// Where the configuration is.
#[derive(clap::Args)]
pub(crate) struct ConfigPath {
    /// The configuration
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "SHIPWORTHY_CONFIG",
        default_value = "shipworthy.yaml"
    )]
    pub(crate) config: PathBuf,
}

/// A project: the directory of its configuration, with the store and the runs in it.
pub(crate) struct Project {
    pub(crate) directory: PathBuf,
}

impl Project {
    /// Returns the project that the configuration file is in.
    pub(crate) fn of(config: &Path) -> Self {
        let directory = match config.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Self { directory }
    }

    /// Reads the configuration at `path` and returns it with its project.
    pub(crate) fn load(path: &Path) -> Result<(Self, Config), Failure> {
        Ok((Self::of(path), Config::load(path)?))
    }

    /// Returns the path of the store.
    pub(crate) fn store(&self) -> PathBuf {
        self.directory.join(".shipworthy").join("store.db")
    }

    /// Returns the directory of a run's artefacts.
    pub(crate) fn run_directory(&self, run: &str) -> PathBuf {
        self.directory.join("runs").join(run)
    }
}

/// Returns the run `id`, or the latest finished one.
pub(crate) fn find_run(store: &Store, id: Option<&str>) -> Result<Run, Failure> {
    let runs = store.runs()?;
    let wanted = |run: &Run| match id {
        Some(id) => run.id == id,
        None => run.state != RunState::Unfinished,
    };
    match (runs.iter().find(|run| wanted(run)), id) {
        (Some(run), _) if run.state == RunState::Unfinished => Err(Failure::new(
            Kind::Data,
            format!("run {} is not finished, so it has no verdict", run.id),
        )
        .hint("finish it with `shipworthy eval --resume`")),
        (Some(run), _) => Ok(run.clone()),
        (None, Some(id)) => Err(Failure::new(Kind::Usage, format!("there is no run `{id}`"))
            .hint("`shipworthy runs list` names them")),
        (None, None) => Err(Failure::new(Kind::Usage, "no run is finished here")
            .hint("run `shipworthy eval` first")),
    }
}

/// Returns the value of an environment variable: API keys come this way and no other.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
