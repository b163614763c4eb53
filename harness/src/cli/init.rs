use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use shipworthy_harness::config::Config;

use super::error::{Failure, Kind};
use super::printer::Printer;
use super::template::TEMPLATES;
use super::{Outcome, exit_code};

/// Write a project to edit
#[derive(Args)]
pub(crate) struct Init {
    /// Where to write it
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// What to start from
    #[arg(
        long,
        default_value = "customer-support",
        value_parser = TEMPLATES.map(|template| template.name)
    )]
    template: String,
    /// Print the configuration's JSON schema for editors instead
    #[arg(long)]
    schema: bool,
}

impl Init {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        if self.schema {
            printer.data(&format!("{:#}\n", Config::json_schema()));
            return Ok(exit_code::SUCCESS);
        }
        let config = self.directory.join("shipworthy.yaml");
        if config.exists() {
            let message = format!("`{}` is there already", config.display());
            return Err(Failure::new(Kind::Usage, message).hint("name another directory"));
        }
        let template = TEMPLATES
            .iter()
            .find(|template| template.name == self.template)
            .expect("clap lets known templates through only");
        let written = template.write(&self.directory)?;
        printer.value(&json!({ "format": 1, "written": written }));
        for file in &written {
            printer.text(&format!("wrote {}\n", self.directory.join(file).display()));
        }
        let config = config.display();
        printer.text(&format!(
            "\nEdit {config}, look with `shipworthy doctor {config}`, then run\n\
             `shipworthy eval -c {config}`.\n"
        ));
        Ok(exit_code::SUCCESS)
    }
}
