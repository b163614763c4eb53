use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use shipworthy_backends::hub::{DEFAULT_ENDPOINT, RepositoryId, RepositoryKind, Uploaded};
use shipworthy_backends::jobs::{DEFAULT_IMAGE, Flavour, JobSpec, MAX_SCRIPT, cheapest};
use shipworthy_harness::remote_job::{Launch, LaunchData, LaunchOutput, launch};
use shipworthy_harness::store::Store;
use shipworthy_schema::finetune::TimeLimit;

use super::hub::HubAccess;
use super::memory_size::memory_size;
use super::watch;
use crate::cli::error::{Failure, Kind};
use crate::cli::printer::Printer;
use crate::cli::project::{ConfigPath, Project};
use crate::cli::{Outcome, exit_code};

/// Start a script on a machine of the Hub, and follow it to its end
///
/// The script is Python with its packages in its header (PEP 723); uv installs them. With
/// `--output-repo` the job counts as done when the files of `--expect` are new there (and the
/// training's last step was pushed), whatever its stage says. Ctrl-C leaves it running.
#[derive(Args)]
pub(super) struct Run {
    /// The script
    script: PathBuf,
    /// What the script is called with
    #[arg(last = true)]
    arguments: Vec<String>,
    /// The machine: a name from `shipworthy jobs flavours`
    #[arg(long, alias = "flavor", conflicts_with = "memory")]
    flavour: Option<String>,
    /// The memory that a card must have, e.g. 24GB: the cheapest such machine is taken
    #[arg(long, value_name = "SIZE", value_parser = memory_size, required_unless_present = "flavour")]
    memory: Option<u64>,
    /// How long it may take, e.g. 90m or 2h; the Hub stops it then
    #[arg(long, value_name = "TIME")]
    timeout: TimeLimit,
    /// The most it may cost in US dollars, if it takes all of its time
    #[arg(long, value_name = "USD")]
    max_cost: Option<f64>,
    /// The image to run in
    #[arg(long, default_value = DEFAULT_IMAGE)]
    image: String,
    /// What to call it; the script's name if left out
    #[arg(long)]
    name: Option<String>,
    /// In whose name it runs; your own if left out
    #[arg(long)]
    namespace: Option<String>,
    /// A variable of its environment, which everybody sees who sees the job
    #[arg(short, long = "env", value_name = "NAME=VALUE")]
    environment: Vec<String>,
    /// A secret of it, taken from the variable of this name here
    #[arg(short, long = "secret", value_name = "NAME")]
    secrets: Vec<String>,
    /// A file or directory to upload first, to `--data-repo`
    #[arg(long, value_name = "PATH", requires = "data_repo")]
    data: Option<PathBuf>,
    /// The data set repository for it; the script finds the name in `SHIPWORTHY_DATA_REPO`
    #[arg(long, value_name = "NAMESPACE/NAME")]
    data_repo: Option<String>,
    /// The model repository that the script pushes to; it finds the name in `SHIPWORTHY_OUTPUT_REPO`
    #[arg(long, value_name = "NAMESPACE/NAME")]
    output_repo: Option<String>,
    /// A file that must be new there in the end; may be repeated
    #[arg(long, value_name = "FILE", requires = "output_repo")]
    expect: Vec<String>,
    /// The last step of the training, which must have been pushed
    #[arg(long, value_name = "STEP", requires = "output_repo")]
    last_step: Option<u64>,
    /// Directory to download the output to
    #[arg(long, value_name = "DIR", requires = "output_repo")]
    out: Option<PathBuf>,
    /// Start it and leave it; `shipworthy jobs wait` takes it up again
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    path: ConfigPath,
}

impl Run {
    pub(super) async fn run(&self, printer: &Printer, access: &HubAccess) -> Outcome {
        let hub = &access.hub;
        let script = self.read_script()?;
        let secrets = access.secrets(&self.secrets)?;
        if self.output_repo.is_some() && !secrets.contains_key("HF_TOKEN") {
            return Err(Failure::new(
                Kind::Usage,
                "the script could push nothing to `--output-repo`: a job has no token of its own",
            )
            .hint("pass yours with `--secret HF_TOKEN`"));
        }
        let repository = |kind, name: &Option<String>| {
            let name = name.as_deref();
            name.map(|name| RepositoryId::parse(kind, name)).transpose()
        };
        let data_repo = repository(RepositoryKind::Dataset, &self.data_repo)?;
        let output_repo = repository(RepositoryKind::Model, &self.output_repo)?;
        let mut environment = self.environment()?;
        if hub.endpoint().as_str() != DEFAULT_ENDPOINT {
            let endpoint = hub.endpoint().as_str().to_owned();
            environment
                .entry("HF_ENDPOINT".to_owned())
                .or_insert(endpoint);
        }
        for (name, repository) in [
            ("SHIPWORTHY_DATA_REPO", &data_repo),
            ("SHIPWORTHY_OUTPUT_REPO", &output_repo),
        ] {
            if let Some(repository) = repository {
                environment.insert(name.to_owned(), repository.to_string());
            }
        }
        let namespace = match &self.namespace {
            Some(namespace) => namespace.clone(),
            None => hub.account().await?,
        };
        let flavours = hub.flavours().await?;
        let flavour = self.flavour(&flavours)?;
        let most = flavour.cost_usd(self.timeout.duration().as_secs());
        self.check_cost(flavour, most)?;
        let stem = self
            .script
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        let spec = JobSpec {
            name: self.name.clone().unwrap_or_else(|| stem.into_owned()),
            image: self.image.clone(),
            script,
            arguments: self.arguments.clone(),
            flavour: flavour.name.clone(),
            timeout: self.timeout.duration(),
            environment,
            secrets,
        };
        let data = match (&self.data, data_repo) {
            (Some(path), Some(repository)) => Some(LaunchData::all_in(path, repository)?),
            _ => None,
        };
        let output = output_repo.map(|repository| LaunchOutput {
            repository,
            files: self.expect.clone(),
            last_step: self.last_step,
        });
        let flavour = flavour.clone();
        let price = flavour.usd_per_minute.map(|usd| usd * 60.0);
        let start = Launch {
            namespace,
            spec,
            flavour,
            data,
            output,
            directory: self.out.clone().map(absolute),
        };
        let store = Store::open(&Project::of(&self.path.file()).store())?;
        let mut told =
            |repository: &RepositoryId, done: &Uploaded| uploaded(printer, repository, done);
        let record = launch(hub, &store, start, &mut told).await?;
        let id = &record.id;
        printer.note(&format!(
            "job {id} on {}{}; at most {}",
            record.flavour,
            price.map_or_else(String::new, |usd| format!(", {} USD an hour", amount(usd))),
            most.map_or_else(
                || "unknown".to_owned(),
                |most| format!("{} USD in {} min", amount(most), self.minutes())
            ),
        ));
        if self.detach {
            let flavour = &record.flavour;
            printer.value(&json!({ "format": 1, "job": id, "flavour": flavour, "most_usd": most }));
            printer.text(&format!("{id}\n"));
            printer.note(&format!("wait for it with `shipworthy jobs wait {id}`"));
            return Ok(exit_code::SUCCESS);
        }
        watch::to_the_end(printer, access, &store, record).await
    }

    fn minutes(&self) -> u64 {
        self.timeout.duration().as_secs().div_ceil(60)
    }

    fn read_script(&self) -> Result<String, Failure> {
        let failed = |error: std::io::Error| {
            let message = format!("failed to read script `{}`: {error}", self.script.display());
            Failure::new(Kind::Usage, message)
        };
        // A file of any length may be named; the job's description says how long it may be.
        let size = std::fs::metadata(&self.script).map_err(failed)?.len();
        if size > MAX_SCRIPT as u64 * 100 {
            return Err(failed(std::io::Error::other(format!(
                "it has {size} bytes"
            ))));
        }
        std::fs::read_to_string(&self.script).map_err(failed)
    }

    fn environment(&self) -> Result<BTreeMap<String, String>, Failure> {
        let pair = |text: &String| {
            let pair = text.split_once('=');
            let pair = pair.map(|(name, value)| (name.to_owned(), value.to_owned()));
            pair.ok_or_else(|| {
                Failure::new(Kind::Usage, format!("`--env {text}` has no value"))
                    .hint("write `--env NAME=VALUE`")
            })
        };
        self.environment.iter().map(pair).collect()
    }

    fn flavour<'a>(&self, flavours: &'a [Flavour]) -> Result<&'a Flavour, Failure> {
        const LOOK: &str = "`shipworthy jobs flavours` lists what there is";
        if let Some(name) = &self.flavour {
            let found = flavours.iter().find(|flavour| flavour.name == *name);
            return found.ok_or_else(|| {
                Failure::new(Kind::Usage, format!("the Hub has no flavour `{name}`")).hint(LOOK)
            });
        }
        let need = self.memory.unwrap_or(0);
        cheapest(flavours, need).ok_or_else(|| {
            let gigabytes = need as f64 / 1e9;
            let message = format!("the Hub has no card with {gigabytes:.1} GB of memory");
            Failure::new(Kind::Usage, message).hint(LOOK)
        })
    }

    fn check_cost(&self, flavour: &Flavour, most: Option<f64>) -> Result<(), Failure> {
        let Some(max) = self.max_cost else {
            return Ok(());
        };
        let name = &flavour.name;
        match most {
            Some(most) if most <= max => Ok(()),
            Some(most) => Err(Failure::new(
                Kind::Usage,
                format!(
                    "{} min on `{name}` may cost {} USD, and `--max-cost` is {}",
                    self.minutes(),
                    amount(most),
                    amount(max)
                ),
            )
            .hint("allow more, give it less time, or take another machine")),
            None => Err(Failure::new(
                Kind::Usage,
                format!(
                    "the Hub does not tell what `{name}` costs, so `--max-cost` cannot be kept"
                ),
            )),
        }
    }
}

pub(in crate::cli) fn uploaded(printer: &Printer, repository: &RepositoryId, done: &Uploaded) {
    printer.note(&format!(
        "uploaded {} files to {repository}",
        done.files.len()
    ));
    if !done.unchanged.is_empty() {
        let n_unchanged = done.unchanged.len();
        printer.note(&format!("{n_unchanged} files were there already"));
    }
    for ignored in &done.ignored {
        let path = shipworthy_reports::one_line(ignored);
        printer.note(&format!(
            "note: `{path}` is left out by the repository's own rules"
        ));
    }
}

fn amount(usd: f64) -> String {
    shipworthy_reports::amount_text(usd)
}

fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}
