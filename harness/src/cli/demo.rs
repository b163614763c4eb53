use std::path::PathBuf;

use clap::Args;
use shipworthy_harness::evaluation::Start;

use super::printer::Printer;
use super::template::TEMPLATES;
use super::{Outcome, eval};

/// Run the whole loop on the shipped example, offline
#[derive(Args)]
pub(crate) struct Demo {
    /// Where to put the example project
    #[arg(long, value_name = "DIR", default_value = "shipworthy-demo")]
    directory: PathBuf,
    /// Exit with 0 whatever the verdict is
    #[arg(long)]
    exit_zero: bool,
}

impl Demo {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        TEMPLATES[0].write(&self.directory)?;
        let config = self.directory.join("shipworthy.yaml");
        printer.note(&format!(
            "Two toy chat models of about a million weights talk with people neither has met.\n\
             The project is {}: edit it and run `shipworthy eval -c {}`.\n",
            self.directory.display(),
            config.display(),
        ));
        let options = eval::Options {
            start: Start::New,
            is_fresh: false,
            shard: None,
            candidates_only: false,
            watch: false,
            exit_zero: self.exit_zero,
        };
        eval::evaluate_project(printer, &config, &options)
    }
}
