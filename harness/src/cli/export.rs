use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;
use shipworthy_harness::evaluation::recall;
use shipworthy_harness::run_directory::write_file;
use shipworthy_harness::store::{Run, Store};
use shipworthy_reports::{
    eval_results, inspect_log, lm_eval_results, lm_eval_samples, model_index, task_name,
};
use shipworthy_schema::{Evaluation, ModelName};

use super::error::{Failure, Kind};
use super::printer::Printer;
use super::project::{ConfigPath, find_run};
use super::{Outcome, exit_code};

/// Write a finished run as other tools read it: Inspect, lm-eval, a model card
#[derive(Args)]
pub(crate) struct Export {
    /// What to write
    #[arg(value_enum)]
    target: Target,
    /// The run; the latest one if left out
    run: Option<String>,
    #[command(flatten)]
    path: ConfigPath,
    /// Directory to write into; made if need be
    #[arg(long, value_name = "DIR", default_value = "export")]
    out: PathBuf,
    /// Data set of the Hub that stands for these people, `owner/name`: adds an entry for
    /// `.eval_results/`
    #[arg(long, value_name = "DATASET")]
    dataset: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// One log per model, for Inspect's viewer and `read_eval_log`
    Inspect,
    /// Results and samples per model in lm-evaluation-harness's layout
    LmEval,
    /// `model-index` front matter per candidate
    ModelCard,
}

impl Export {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        if let Some(dataset) = &self.dataset {
            let is_id = |part: &str| {
                let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
                !part.is_empty() && part.chars().all(letter)
            };
            let parts: Vec<&str> = dataset.split('/').collect();
            if self.target != Target::ModelCard || parts.len() != 2 || !parts.into_iter().all(is_id)
            {
                let message = format!(
                    "--dataset {dataset}: expected `owner/name`, with the target model-card"
                );
                return Err(Failure::new(Kind::Usage, message));
            }
        }
        let project = self.path.project()?;
        let store = Store::open_existing(&project.store())?;
        let run = find_run(&store, self.run.as_deref())?;
        let evaluation = recall(&store, &run)?;
        let mut written = Vec::new();
        for planned in &evaluation.plan.models {
            for (name, content) in self.files(&run, &evaluation, &planned.name) {
                let path = self.out.join(name);
                write_file(&path, &content)?;
                written.push(path);
            }
        }
        let paths: Vec<_> = written
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        printer.value(&json!({ "format": 1, "run": run.id, "written": paths }));
        printer.text(&(paths.join("\n") + "\n"));
        Ok(exit_code::SUCCESS)
    }

    /// Returns the files of one model by name; a candidate alone has a card.
    fn files(
        &self,
        run: &Run,
        evaluation: &Evaluation,
        model: &ModelName,
    ) -> Vec<(PathBuf, String)> {
        let directory = Path::new(&file_name(model)).to_owned();
        let file = |name: &str, content: Option<String>| content.map(|c| (directory.join(name), c));
        let files = match self.target {
            Target::Inspect => {
                // Inspect tells a log by a name of this shape.
                let time = run.created_at.replace(':', "-");
                let task = task_name(evaluation).replace('_', "-");
                let name = format!("{time}_{task}_{}.json", run.id);
                vec![file(&name, inspect_log(evaluation, model, &run.created_at))]
            }
            Target::LmEval => {
                let samples = format!("samples_{}.jsonl", task_name(evaluation));
                vec![
                    file("results.json", lm_eval_results(evaluation, model)),
                    file(&samples, lm_eval_samples(evaluation, model)),
                ]
            }
            Target::ModelCard => {
                let results = self.dataset.as_deref();
                let results = results.and_then(|dataset| eval_results(evaluation, model, dataset));
                vec![
                    file("model-index.yaml", model_index(evaluation, model, None)),
                    file(".eval_results/shipworthy.yaml", results),
                ]
            }
        };
        files.into_iter().flatten().collect()
    }
}

/// Returns a model's name as a directory's: names may hold anything visible, `/` and `..` too.
fn file_name(model: &ModelName) -> String {
    let safe = |c: char| {
        if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') {
            c
        } else {
            '_'
        }
    };
    let name: String = model.as_str().chars().map(safe).collect();
    match name.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None => name,
    }
}
