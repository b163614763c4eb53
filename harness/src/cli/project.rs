use std::path::{Path, PathBuf};

use shipworthy_harness::config::Config;
use shipworthy_harness::preparation::directory_of;
use shipworthy_harness::store::{Run, RunState, Store};

use super::error::{Failure, Kind};

/// Where the configuration is.
#[derive(clap::Args)]
pub(crate) struct ConfigPath {
    /// The configuration, or the directory that it is in
    #[arg(
        short,
        long,
        value_name = "PATH",
        env = "SHIPWORTHY_CONFIG",
        default_value = DEFAULT_CONFIG
    )]
    config: PathBuf,
}

impl ConfigPath {
    /// Returns the configuration's file; a directory stands for the `shipworthy.yaml` in it.
    pub(crate) fn file(&self) -> PathBuf {
        config_file(&self.config)
    }

    /// Returns the project that it is in; one that somebody named must be there.
    pub(crate) fn project(&self) -> Result<Project, Failure> {
        if self.is_named() && !self.config.exists() {
            return Err(self.missing());
        }
        Ok(Project::of(&self.file()))
    }

    /// Tells whether it is another path than the one taken where none is named.
    pub(crate) fn is_named(&self) -> bool {
        self.config != Path::new(DEFAULT_CONFIG)
    }

    /// Says that it is not there.
    pub(crate) fn missing(&self) -> Failure {
        let path = self.file();
        let message = format!("there is no configuration `{}`", path.display());
        Failure::new(Kind::Usage, message).hint(
            "name it with `--config` or SHIPWORTHY_CONFIG, or go to the directory that it is in",
        )
    }
}

/// Returns `path`, or the `shipworthy.yaml` in it if it is a directory.
pub(crate) fn config_file(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join(DEFAULT_CONFIG)
    } else {
        path.to_owned()
    }
}

/// The configuration where none is named.
pub(crate) const DEFAULT_CONFIG: &str = "shipworthy.yaml";

/// A project: the directory of its configuration, with the store and the runs in it.
pub(crate) struct Project {
    pub(crate) directory: PathBuf,
}

impl Project {
    /// Returns the project that the configuration file is in.
    pub(crate) fn of(config: &Path) -> Self {
        Self {
            directory: directory_of(config).to_owned(),
        }
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

/// Returns the run `id`, or the latest one, if it has a verdict of its own.
pub(crate) fn find_run(store: &Store, id: Option<&str>) -> Result<Run, Failure> {
    let run = find_run_to_gate(store, id)?;
    if run.plan.has_baseline() {
        return Ok(run);
    }
    let message = format!(
        "run {} is of candidates alone: it has no verdict but that of the regression gate",
        run.id
    );
    Err(Failure::new(Kind::Data, message)
        .hint("`shipworthy gate` holds it against the baseline file; another run may be named"))
}

/// Returns the run `id`, or the latest one, if it has a verdict, even if by a baseline file.
pub(crate) fn find_run_to_gate(store: &Store, id: Option<&str>) -> Result<Run, Failure> {
    let shards = store.shard_runs()?;
    let shard_of = |run: &Run| shards.iter().find(|it| it.run.id == run.id);
    let runs = store.runs()?;
    let found = runs.into_iter().find(|run| match id {
        Some(id) => run.id == id,
        None => shard_of(run).is_none() && !run.plan.is_generation(),
    });
    let failure = |message: String| Failure::new(Kind::Data, message);
    if let Some(it) = found.as_ref().and_then(shard_of) {
        let message = format!(
            "run {} is shard {} of its plan: no verdict is made from a shard",
            it.run.id, it.shard
        );
        return Err(failure(message).hint("`shipworthy runs merge` gathers all shards and decides"));
    }
    if let Some(run) = found.as_ref().filter(|run| run.plan.is_generation()) {
        let message = format!(
            "in run {} a teacher made training data: nothing was evaluated",
            run.id
        );
        return Err(failure(message).hint("`shipworthy runs list` shows which runs have a verdict"));
    }
    match found {
        None => Err(match id {
            Some(id) => Failure::new(Kind::Usage, format!("there is no run `{id}`"))
                .hint("`shipworthy runs list` names them"),
            None => Failure::new(Kind::Usage, "nothing was evaluated here yet")
                .hint("run `shipworthy eval` first"),
        }),
        Some(run) => match &run.state {
            RunState::Finished { .. } => Ok(run),
            RunState::Unfinished | RunState::Generated { .. } => {
                Err(failure(format!("run {} is not finished", run.id))
                    .hint(
                        "`shipworthy eval --resume` goes on with the latest run of a plan, \
                         `shipworthy loop` with those of its candidates",
                    )
                    .hint("an older run may be named; `shipworthy runs list` shows them"))
            }
            RunState::Invalid { reason } => {
                Err(failure(format!("run {} has no verdict: {reason}", run.id))
                    .hint("`shipworthy eval --resume` tries again what failed"))
            }
        },
    }
}

/// Returns the value of an environment variable: API keys come this way and no other.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
