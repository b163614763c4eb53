use std::path::PathBuf;

use clap::Args;
use shipworthy_harness::merging::{MergeError, merge, store_at};
use shipworthy_harness::run_directory;
use shipworthy_harness::store::Store;

use super::printer::Printer;
use super::project::ConfigPath;
use super::{Outcome, eval, exit_code};

/// Gather all shards of one plan into one run, compare, decide, report
///
/// Shards in this project's own store count too. The exit code is the verdict's (see `shipworthy
/// --help`).
#[derive(Args)]
pub(super) struct MergeRuns {
    /// Stores with shards: `store.db` files, `.shipworthy` directories, or projects
    #[arg(value_name = "STORE_OR_DIR")]
    stores: Vec<PathBuf>,
    /// First digits of the plan's digest, where there are shards of several
    #[arg(long, value_name = "DIGITS")]
    plan: Option<String>,
    #[command(flatten)]
    path: ConfigPath,
    /// Exit with 0 whatever the verdict is
    #[arg(long)]
    exit_zero: bool,
}

impl MergeRuns {
    pub(super) fn run(&self, printer: &Printer) -> Outcome {
        let project = self.path.project()?;
        let own = Store::open(&project.store())?;
        let mut others = Vec::new();
        for path in &self.stores {
            let path = store_at(path);
            if !is_own(&path, &own) {
                others.push(Store::open_existing(&path)?);
            }
        }
        let merged = super::runtime().block_on(merge(&own, &others, self.plan.as_deref()));
        let (run, personas, evaluation) = match merged {
            Ok(merged) => merged,
            Err(MergeError::Evaluation(error)) => {
                return Err(eval::without_verdict(error, &project, &own));
            }
            Err(error) => return Err(error.into()),
        };
        let directory = project.run_directory(&run);
        run_directory::write(&directory, &evaluation, &personas)?;
        let took = eval::Took::of(&own, &run)?;
        eval::show(printer, &run, &evaluation, &directory, &took);
        Ok(if self.exit_zero {
            exit_code::SUCCESS
        } else {
            evaluation.verdict().exit_code()
        })
    }
}

/// Tells whether `path` is this project's own store, which counts anyway.
fn is_own(path: &std::path::Path, own: &Store) -> bool {
    let real = |path: &std::path::Path| std::fs::canonicalize(path).ok();
    real(path).is_some_and(|path| real(own.path()) == Some(path))
}
