use clap::Args;
use shipworthy_harness::evaluation::recall;
use shipworthy_harness::store::Store;

use super::printer::Printer;
use super::project::{ConfigPath, Project, find_run};
use super::{Outcome, eval, exit_code};

/// Turn a finished run's verdict into an exit code, for CI
#[derive(Args)]
pub(crate) struct GateRun {
    /// The run; the latest one if left out
    run: Option<String>,
    #[command(flatten)]
    path: ConfigPath,
    /// Exit with 0 whatever the verdict is
    #[arg(long)]
    exit_zero: bool,
}

impl GateRun {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let project = Project::of(&self.path.file());
        let store = Store::open_existing(&project.store())?;
        let run = find_run(&store, self.run.as_deref())?;
        let evaluation = recall(&store, &run)?;
        if printer.json() {
            eval::show(
                printer,
                &run.id,
                &evaluation,
                &project.run_directory(&run.id),
                &eval::Took::of(&store, &run.id)?,
            );
        } else {
            let (width, color) = (printer.width(), printer.color());
            printer.text(&shipworthy_reports::headline(&evaluation, width, color));
        }
        Ok(if self.exit_zero {
            exit_code::SUCCESS
        } else {
            evaluation.verdict().exit_code()
        })
    }
}
