use std::path::Path;

use clap::Args;
use serde_json::{Value, json};
use shipworthy_backends::{ModelLocation, Secret, open};
use shipworthy_harness::config::{Config, ModelEntry, SimulatorConfig};
use shipworthy_harness::preparation::{Inputs, directory_of};
use shipworthy_harness::probe::{Finding, Status, probe};
use shipworthy_reports::one_line;
use shipworthy_schema::ModelSource;

use super::error::{Failure, Kind};
use super::printer::Printer;
use super::project::{DEFAULT_CONFIG, config_file, environment};
use super::{Outcome, exit_code, interrupted};

/// Probe a server, or everything a project names; say what is wrong and how to mend it
///
/// A model is opened, identified, asked for a reply, for one token, for the same reply twice and
/// for JSON by schema. Exits with the first failure's code; doubts alone exit with 0.
#[derive(Args)]
pub(crate) struct Doctor {
    /// A base URL (http://…/v1), a configuration file, or a project's directory
    #[arg(default_value = DEFAULT_CONFIG, env = "SHIPWORTHY_CONFIG")]
    target: String,
    /// The model's id at the server, where it serves several
    #[arg(long)]
    model: Option<String>,
    /// Environment variable that holds the server's API key
    #[arg(long, value_name = "VARIABLE")]
    api_key_env: Option<String>,
}

/// One thing looked at.
struct Subject {
    /// What it is, e.g. `models.tuned`.
    name: String,
    /// What was found, or why nothing could be.
    found: Result<Vec<Finding>, Failure>,
}

impl Doctor {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let runtime = super::runtime();
        let examined = async {
            tokio::select! {
                subjects = self.examine() => subjects,
                _ = tokio::signal::ctrl_c() => Err(interrupted()),
            }
        };
        let subjects = runtime.block_on(examined)?;
        printer.value(&json!({
            "format": 1,
            "subjects": subjects.iter().map(Subject::value).collect::<Vec<_>>(),
        }));
        for subject in &subjects {
            subject.show(printer);
        }
        let failed = subjects.iter().find_map(Subject::failed);
        printer.text(match failed {
            None => "\nReady.\n",
            Some(_) => "\nNot ready: mend what is marked with ✗ first.\n",
        });
        Ok(failed.map_or(exit_code::SUCCESS, Kind::exit_code))
    }

    async fn examine(&self) -> Result<Vec<Subject>, Failure> {
        if self.target.starts_with("http://") || self.target.starts_with("https://") {
            return Ok(vec![self.examine_server().await?]);
        }
        let file = config_file(Path::new(&self.target));
        let examined = examine_project(&file).await;
        if !file.exists() && self.target.contains(':') {
            let url = format!("for a server, write http://{}/v1", self.target);
            return examined.map_err(|failure| failure.hint(url));
        }
        examined
    }

    async fn examine_server(&self) -> Result<Subject, Failure> {
        let api_key = match &self.api_key_env {
            None => None,
            Some(name) => Some(Secret::new(environment(name).ok_or_else(|| {
                Failure::new(
                    Kind::Usage,
                    format!("environment variable `{name}` is not set"),
                )
            })?)),
        };
        let (url, model) = (self.target.clone(), self.model.clone());
        let location = ModelLocation::Http {
            url,
            model,
            api_key,
            parallel: 1,
        };
        Ok(Subject {
            name: self.target.clone(),
            found: examine_model(&location, None).await,
        })
    }
}

async fn examine_project(file: &Path) -> Result<Vec<Subject>, Failure> {
    let config = Config::load(file)?;
    let inputs = Inputs::read(&config, file).map(|inputs| vec![inputs_finding(&inputs)]);
    let mut subjects = vec![Subject {
        name: "personas and rubric".to_owned(),
        found: inputs.map_err(Into::into),
    }];
    let mut entries: Vec<(String, &ModelEntry)> = config
        .models
        .iter()
        .map(|(name, entry)| (format!("models.{name}"), &entry.value))
        .collect();
    if let SimulatorConfig::Llm(entry) = &config.simulator.value {
        entries.push(("simulator".to_owned(), &entry.model));
    }
    let judges = config.judge.value.entries();
    for judge in judges {
        let name = match judges {
            [_] => "judge".to_owned(),
            _ => format!("judge {}", judge.name),
        };
        entries.push((name, &judge.model));
    }
    for (name, entry) in entries {
        // Simulator and judge get prompts of their own.
        let is_under_test = name.starts_with("models.");
        let system_prompt = config.system_prompt.as_deref().filter(|_| is_under_test);
        let found = match entry.locate(directory_of(file), &environment) {
            Ok(location) => examine_model(&location, system_prompt).await,
            Err(error) => Err(Failure::new(Kind::Usage, error)),
        };
        subjects.push(Subject { name, found });
    }
    Ok(subjects)
}

fn inputs_finding(inputs: &Inputs) -> Finding {
    let status = if inputs.is_verified() {
        Status::Good
    } else {
        Status::Doubtful
    };
    Finding {
        check: "held out",
        status,
        detail: inputs.summary(),
    }
}

async fn examine_model(
    location: &ModelLocation,
    system_prompt: Option<&str>,
) -> Result<Vec<Finding>, Failure> {
    let opened = open(location).await?;
    let detail = match &opened.source {
        ModelSource::Gguf { path, digest, .. } | ModelSource::Scripted { path, digest } => {
            format!("{path}, SHA-256 {}", digest.short())
        }
        ModelSource::Http { url, model, served } => {
            let path = served
                .model_path
                .as_deref()
                .map(|path| format!(", loaded from {path}"));
            format!("`{model}` at {url}{}", path.unwrap_or_default())
        }
    };
    let mut findings = vec![Finding {
        check: "identity",
        status: Status::Good,
        detail,
    }];
    // Replies from a file answer the planned conversations only.
    if !matches!(opened.source, ModelSource::Scripted { .. }) {
        findings.extend(probe(opened.model.as_ref(), system_prompt).await);
    }
    Ok(findings)
}

impl Subject {
    fn failed(&self) -> Option<Kind> {
        match &self.found {
            Err(failure) => Some(failure.kind),
            Ok(findings) => {
                let is_bad = findings.iter().any(|finding| finding.status == Status::Bad);
                is_bad.then_some(Kind::Unavailable)
            }
        }
    }

    fn value(&self) -> Value {
        match &self.found {
            Err(failure) => json!({
                "subject": self.name,
                "error": failure.message,
                "hints": failure.hints,
                "exit_code": failure.kind.exit_code(),
            }),
            Ok(findings) => {
                let value = |finding: &Finding| {
                    json!({
                        "check": finding.check,
                        "status": match finding.status {
                            Status::Good => "good",
                            Status::Doubtful => "doubtful",
                            Status::Bad => "bad",
                        },
                        "detail": finding.detail,
                    })
                };
                let checks: Vec<Value> = findings.iter().map(value).collect();
                json!({ "subject": self.name, "checks": checks })
            }
        }
    }

    fn show(&self, printer: &Printer) {
        printer.text(&format!("{}\n", one_line(&self.name)));
        match &self.found {
            Err(failure) => {
                printer.text(&format!("  ✗ {}\n", one_line(&failure.message)));
                for hint in &failure.hints {
                    printer.text(&format!("    {hint}\n"));
                }
            }
            Ok(findings) => {
                for Finding {
                    check,
                    status,
                    detail,
                } in findings
                {
                    let mark = match status {
                        Status::Good => "✓",
                        Status::Doubtful => "?",
                        Status::Bad => "✗",
                    };
                    printer.text(&format!("  {mark} {check}: {}\n", one_line(detail)));
                }
            }
        }
    }
}
