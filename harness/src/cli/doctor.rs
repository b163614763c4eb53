use std::path::Path;

use clap::Args;
use serde_json::{Value, json};
use shipworthy_backends::hub::RepositoryId;
use shipworthy_backends::{
    Connections, ModelLocation, Neighbours, OpenError, OpenedModel, Secret, open,
};
use shipworthy_harness::candidates::{LoopInputs, secrets_at_hub};
use shipworthy_harness::config::{Config, ModelEntry, SimulatorConfig};
use shipworthy_harness::preflight::{Finding, Purpose, Status, examine, tell_apart};
use shipworthy_harness::preparation::{Inputs, Servers, directory_of};
use shipworthy_reports::one_line;
use shipworthy_schema::{ModelName, ModelSource, Sampling};

use super::error::{Failure, Kind};
use super::jobs::hub::HubAccess;
use super::printer::Printer;
use super::project::{DEFAULT_CONFIG, config_file, environment};
use super::{Outcome, exit_code, interrupted};

/// Probe a server, or everything a project names; say what is wrong and how to mend it
///
/// A server is waited for, identified and asked, with a dozen short calls at most: whether its chat
/// template takes a system prompt and a second turn, whether it keeps seeds, limits and JSON schemas,
/// whether it reasons, and whether models behind it differ. Every run does the same before it begins.
/// Exits with the first failure's code; what is doubtful or can be worked around exits with 0.
#[derive(Args)]
pub(crate) struct Doctor {
    /// A base URL (http://…/v1), a configuration file, a project's directory, or the name of a model
    /// in shipworthy.yaml
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
        let usual = Path::new(DEFAULT_CONFIG);
        if !file.exists()
            && usual.exists()
            && let Ok(config) = Config::load(usual)
            && let Some(model) = config.models.keys().find(|m| m.as_str() == self.target)
        {
            return examine_project(usual, Some(model)).await;
        }
        let examined = examine_project(&file, None).await;
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
            connections: Connections::default(),
            lora: None,
            neighbours: Neighbours::default(),
            shown: None,
            parallel: 1,
        };
        let found = match open(&location).await {
            Ok(opened) => Ok(examine_model(&opened, PLAIN).await),
            Err(error @ OpenError::WhichModel { .. }) => {
                Err(Failure::from(error).hint("name one of them with `--model`"))
            }
            Err(error) => Err(error.into()),
        };
        Ok(Subject {
            name: without_credentials(&self.target),
            found,
        })
    }
}

/// Returns `url` without user and password.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
    let start = authority.rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}://{}", &rest[start..])
}

/// A server of which nobody knows what it is for.
const PLAIN: Purpose<'_> = Purpose {
    system_prompt: Some("You are a helpful assistant."),
    max_tokens: 256,
    needs_schema: true,
    in_full: true,
};

/// Looks at what the configuration in `file` names, or at one of its models only.
async fn examine_project(file: &Path, only: Option<&ModelName>) -> Result<Vec<Subject>, Failure> {
    let config = Config::load(file)?;
    let mut subjects = Vec::new();
    if only.is_none() {
        let inputs = Inputs::read(&config, file).map(|inputs| vec![inputs_finding(&inputs)]);
        subjects.push(Subject {
            name: "personas and rubric".to_owned(),
            found: inputs.map_err(Into::into),
        });
        if config.candidates.is_some() {
            subjects.push(Subject {
                name: "loop".to_owned(),
                found: examine_loop(&config, file),
            });
        }
        if let Some(repository) = &config.ship.push {
            subjects.push(Subject {
                name: "ship".to_owned(),
                found: examine_push(repository),
            });
        }
    }
    let only_entry = only.and_then(|name| config.models.get(name));
    let only_entry = only_entry.map(|entry| &entry.value);
    let servers = match Servers::start(&config, file, &environment, only_entry).await {
        Ok(servers) => servers,
        Err(error) => {
            subjects.push(Subject {
                name: "servers".to_owned(),
                found: Err(error.into()),
            });
            return Ok(subjects);
        }
    };
    let surroundings = servers.surroundings(&config, directory_of(file), &environment);
    let mut tested: Vec<(&ModelName, OpenedModel)> = Vec::new();
    for (name, entry, purpose) in entries(&config, only) {
        let shown = name.map_or_else(|| purpose.0.clone(), |name| format!("models.{name}"));
        let opened = match entry.locate(&surroundings) {
            Ok(location) => open(&location).await.map_err(Failure::from),
            Err(error) => Err(Failure::new(Kind::Usage, error)),
        };
        let found = match opened {
            Ok(opened) => {
                let findings = examine_model(&opened, purpose.1).await;
                tested.extend(name.map(|name| (name, opened)));
                Ok(findings)
            }
            Err(failure) => Err(failure),
        };
        subjects.push(Subject { name: shown, found });
    }
    tested.sort_by_key(|(name, _)| **name != config.baseline.value);
    let arms = tested
        .iter()
        .map(|(name, opened)| (*name, &opened.source, opened.model.as_ref()));
    for (name, finding) in tell_apart(&arms.collect::<Vec<_>>()).await {
        let name = format!("models.{name}");
        let subject = subjects.iter_mut().find(|subject| subject.name == name);
        if let Some(Ok(findings)) = subject.map(|subject| &mut subject.found) {
            findings.push(finding);
        }
    }
    Ok(subjects)
}

/// A model's name, if it is one under test; its entry; its role and what it is for.
type Entry<'a> = (Option<&'a ModelName>, &'a ModelEntry, (String, Purpose<'a>));

fn entries<'a>(config: &'a Config, only: Option<&ModelName>) -> Vec<Entry<'a>> {
    let purpose = Purpose {
        system_prompt: config.system_prompt.as_deref(),
        max_tokens: config.sampling.max_tokens,
        needs_schema: false,
        in_full: true,
    };
    let models = config.models.iter();
    let mut entries: Vec<Entry<'a>> = models
        .filter(|(name, _)| only.is_none_or(|only| only == *name))
        .map(|(name, entry)| (Some(name), &entry.value, ("model".to_owned(), purpose)))
        .collect();
    if only.is_some() {
        return entries;
    }
    // Simulator and judge get prompts of their own.
    if let SimulatorConfig::Llm(entry) = &config.simulator.value {
        let max_tokens = Sampling::from(&entry.sampling).max_tokens;
        let purpose = Purpose {
            system_prompt: PLAIN.system_prompt,
            max_tokens,
            ..purpose
        };
        entries.push((None, &entry.model, ("simulator".to_owned(), purpose)));
    }
    let judges = config.judge.value.entries();
    for entry in judges {
        let name = match judges {
            [_] => "judge".to_owned(),
            _ => format!("judge {}", entry.name),
        };
        let max_tokens = Sampling::from(&entry.sampling).max_tokens;
        let purpose = Purpose {
            system_prompt: None,
            max_tokens,
            needs_schema: true,
            ..purpose
        };
        entries.push((None, &entry.model, (name, purpose)));
    }
    entries
}

fn inputs_finding(inputs: &Inputs) -> Finding {
    let (check, detail) = ("held out", inputs.summary());
    if inputs.is_verified() {
        Finding::passed(check, detail)
    } else {
        Finding::doubtful(check, detail)
    }
}

/// Looks at what the loop of the configuration in `file` begins with.
fn examine_loop(config: &Config, file: &Path) -> Result<Vec<Finding>, Failure> {
    let LoopInputs { recipes, pools, .. } = LoopInputs::read(config, file)?;
    let names: Vec<&str> = recipes.iter().map(|recipe| recipe.name.as_str()).collect();
    let mut candidates = match names.len() {
        0..=8 => names.join(", "),
        count => format!("{count}: {}, …", names[..8].join(", ")),
    };
    if recipes.is_empty() {
        "none is named; rules propose them".clone_into(&mut candidates);
    }
    let (met, new) = (pools.development, pools.confirmation);
    let people = format!(
        "{} from seed {} compare, {} from seed {} confirm; absent from what candidates learn from",
        met.count.get(),
        met.seed_start,
        new.count.get(),
        new.seed_start
    );
    let mut findings = vec![
        Finding::passed("candidates", candidates),
        Finding::passed("held out", people),
    ];
    if let Some(names) = secrets_at_hub(config, file) {
        HubAccess::from_environment()?.secrets(&names)?;
        findings.push(Finding::passed("Hub", "a token is there".to_owned()));
    }
    Ok(findings)
}

/// Looks whether there is a token to push packages with.
fn examine_push(repository: &RepositoryId) -> Result<Vec<Finding>, Failure> {
    HubAccess::from_environment()?.secrets(&["HF_TOKEN".to_owned()])?;
    let detail = format!("packages go to {repository}, and a token is there");
    Ok(vec![Finding::passed("Hub", detail)])
}

async fn examine_model(opened: &OpenedModel, purpose: Purpose<'_>) -> Vec<Finding> {
    let detail = match &opened.source {
        ModelSource::Gguf { path, digest, .. } | ModelSource::Scripted { path, digest } => {
            format!("{path}, SHA-256 {}", digest.short())
        }
        ModelSource::Http { url, model, served } => {
            let path = served.model_path.as_deref();
            let path = path.map(|path| format!(", loaded from {path}"));
            let scales = served.lora.iter();
            let scales = scales.map(|lora| format!(", {} × {}", lora.scale, lora.path));
            let scales: String = scales.collect();
            format!("`{model}` at {url}{}{scales}", path.unwrap_or_default())
        }
    };
    let mut findings = vec![Finding::passed("identity", detail)];
    // Replies from a file answer the planned conversations only.
    if !matches!(opened.source, ModelSource::Scripted { .. }) {
        findings.extend(examine(opened.model.as_ref(), purpose).await);
    }
    findings
}

impl Subject {
    fn failed(&self) -> Option<Kind> {
        match &self.found {
            Err(failure) => Some(failure.kind),
            Ok(findings) => {
                let mut statuses = findings.iter().map(|finding| finding.status);
                let is_refused = statuses.any(|status| status == Status::Refused);
                is_refused.then_some(Kind::Unavailable)
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
                    let mut value = json!({
                        "check": finding.check,
                        "status": finding.status.word(),
                        "detail": finding.detail,
                    });
                    if let Some(mend) = &finding.mend {
                        value["mend"] = json!(mend);
                    }
                    value
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
                let widths = findings.iter().map(|finding| finding.check.chars().count());
                let width = widths.max().unwrap_or_default();
                for finding in findings {
                    let mark = match finding.status {
                        Status::Passed => "✓",
                        Status::WorkedAround => "~",
                        Status::Doubtful => "?",
                        Status::Refused => "✗",
                    };
                    let (check, detail) = (&finding.check, one_line(&finding.detail));
                    printer.text(&format!("  {mark} {check:<width$}  {detail}\n"));
                    if let Some(mend) = &finding.mend {
                        printer.text(&format!("    {:<width$}  {}\n", "", one_line(mend)));
                    }
                }
            }
        }
    }
}
