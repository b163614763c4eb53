use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;
use shipworthy_harness::config::Config;
use shipworthy_schema::finetune::FinetuneConfig;

use super::error::{Failure, Kind};
use super::printer::Printer;
use super::project::DEFAULT_CONFIG;
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
    /// Print a configuration's JSON schema for editors instead: shipworthy.yaml's, or, with
    /// `--schema=finetune`, `finetune_config.yaml`'s
    #[arg(
        long,
        value_enum,
        value_name = "WHICH",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "evaluation"
    )]
    schema: Option<Schema>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Schema {
    Evaluation,
    Finetune,
}

impl Init {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        if let Some(which) = self.schema {
            let schema = match which {
                Schema::Evaluation => Config::json_schema(),
                Schema::Finetune => FinetuneConfig::json_schema(),
            };
            printer.data(&format!("{schema:#}\n"));
            return Ok(exit_code::SUCCESS);
        }
        let template = TEMPLATES
            .iter()
            .find(|template| template.name == self.template)
            .expect("clap lets known templates through only");
        let config = self.directory.join(template.config);
        if config.exists() {
            let message = format!("`{}` is there already", config.display());
            return Err(Failure::new(Kind::Usage, message).hint("name another directory"));
        }
        let written = template.write(&self.directory)?;
        printer.value(&json!({ "format": 1, "written": written }));
        for file in &written {
            printer.text(&format!("wrote {}\n", self.directory.join(file).display()));
        }
        let config = config.display();
        let next = if template.config == DEFAULT_CONFIG {
            format!(
                "Edit {config}, look with `shipworthy doctor {config}`, then run\n\
                 `shipworthy eval -c {config}`."
            )
        } else {
            format!(
                "Edit {config}, look with `shipworthy train -c {config} --dry-run`, then run\n\
                 `shipworthy train -c {config}`."
            )
        };
        printer.text(&format!("\n{next}\n"));
        Ok(exit_code::SUCCESS)
    }
}
