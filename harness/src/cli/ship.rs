use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use shipworthy_backends::hub::{RepositoryId, RepositoryKind, Upload};
use shipworthy_harness::candidates::origin;
use shipworthy_harness::config::ShipConfig;
use shipworthy_harness::evaluation::recall;
use shipworthy_harness::package::{PackageError, PackageRequest, assemble, existing};
use shipworthy_harness::store::{Run, Store};
use shipworthy_reports::{one_line, servings};
use shipworthy_schema::{CandidateResult, CandidateState, CandidateTable, ModelName, Package};

use super::error::{Failure, Kind};
use super::jobs::hub::HubAccess;
use super::printer::Printer;
use super::project::{ConfigPath, Project, find_run};
use super::{Outcome, exit_code};

/// Package a model that is to ship: file, adapter, model card, lineage, how to serve it
///
/// On the verdict *ship* alone; of a loop's candidates, only one that people confirm whom nobody had
/// met.
#[derive(Args)]
pub(crate) struct Ship {
    /// A candidate of the loop by name, or a run; the loop's best candidate, else the latest run, if
    /// left out
    what: Option<String>,
    #[command(flatten)]
    path: ConfigPath,
    /// The directory to make; `packages/NAME` in the project if left out
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Add the base with the adapter merged into it, for vLLM, whatever `ship` in the configuration says
    #[arg(long)]
    merged: bool,
    /// Package it whatever the verdict is; the package says so
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    pushing: Pushing,
}

/// Where a package is pushed to.
#[derive(Args)]
struct Pushing {
    /// Push it to this model repository of the Hugging Face Hub, which is made if need be; that of
    /// `ship` in the configuration if left out
    #[arg(long, value_name = "OWNER/NAME")]
    push: Option<String>,
    /// Make that repository public
    #[arg(long, requires = "push")]
    public: bool,
    /// Push it nowhere
    #[arg(long, conflicts_with = "push")]
    no_push: bool,
}

impl Ship {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let (project, config) = Project::load(&self.path.file())?;
        let target = self.pushing.target(&config.ship)?;
        let store = Store::open_existing(&project.store())?;
        let table = read_table(&project.directory.join("candidates/report.json"))?;
        let (run, name) = self.find(&store, table.as_ref())?;
        let evaluation = recall(&store, &run)?;
        let name = name.unwrap_or_else(|| evaluation.recommended.clone());
        let origin = origin(&store, &run, &name)?;
        let output = self.out.clone().unwrap_or_else(|| {
            let packages = project.directory.join("packages");
            packages.join(directory_name(name.as_str()))
        });
        let is_of_loop = origin.is_some();
        let others = origin.as_ref().map(|it| it.others.clone());
        let request = PackageRequest {
            project: &project.directory,
            output: &output,
            name: &name,
            run: &run.id,
            evaluation: &evaluation,
            personas: &run.personas,
            confirmed: origin.as_ref().map(|it| it.confirmed),
            others: &others.unwrap_or_default(),
            trained: origin.map(|it| project.directory.join(it.trained)),
            table: table.as_ref().filter(|_| is_of_loop),
            merged: self.merged || config.ship.merged,
            force: self.force,
        };
        let package = match assemble(&request) {
            // What could not be pushed then may be now.
            Err(PackageError::Exists { path }) if target.is_some() => {
                existing(&request)?.ok_or(PackageError::Exists { path })
            }
            made => made,
        }?;
        let commit = target.map(|target| target.upload(&output, &name));
        let commit = commit.transpose()?;
        show(printer, &package, &output, commit.as_deref());
        Ok(exit_code::SUCCESS)
    }

    /// Returns the run whose verdict counts, and the model in it if that is named.
    fn find(
        &self,
        store: &Store,
        table: Option<&CandidateTable>,
    ) -> Result<(Run, Option<ModelName>), Failure> {
        let wanted = match (&self.what, table) {
            (Some(name), _) => Some(name),
            (None, Some(table)) => table.recommended.as_ref(),
            (None, None) => None,
        };
        let candidates = table.map(|table| table.candidates.as_slice());
        let candidate = candidates
            .unwrap_or_default()
            .iter()
            .find(|it| Some(&it.name) == wanted);
        let Some(candidate) = candidate else {
            return Ok((find_run(store, self.what.as_deref())?, None));
        };
        // Whom some people refuted, others do not ship.
        let refutation = table.and_then(|table| table.refutation(candidate));
        let earlier = table.and_then(|table| table.earlier(candidate).pop());
        let evaluation = (refutation.and_then(|it| it.evaluation.as_ref()))
            .or(candidate.confirmation.as_ref())
            .or_else(|| earlier?.evaluation.as_ref())
            .or(candidate.development.as_ref());
        let evaluation = evaluation.ok_or_else(|| not_evaluated(candidate))?;
        let name = ModelName::new(candidate.name.as_str()).ok();
        Ok((find_run(store, Some(&evaluation.run))?, name))
    }
}

impl Pushing {
    /// Returns where the package is pushed to, if anywhere.
    fn target(&self, config: &ShipConfig) -> Result<Option<Target>, Failure> {
        if self.no_push {
            return Ok(None);
        }
        let named = self.push.as_deref();
        let named = named.map(|name| RepositoryId::parse(RepositoryKind::Model, name));
        let is_public = if named.is_some() {
            self.public
        } else {
            config.public
        };
        let repository = named.transpose()?.or_else(|| config.push.clone());
        Ok(repository.map(|repository| Target {
            repository,
            is_public,
        }))
    }
}

/// A repository that a package is pushed to.
struct Target {
    repository: RepositoryId,
    is_public: bool,
}

impl Target {
    /// Uploads the package in one commit; returns the commit.
    fn upload(&self, package: &Path, name: &ModelName) -> Result<String, Failure> {
        let access = HubAccess::from_environment()?;
        let files = Upload::all_in(package)?;
        let title = format!("Ship {}", one_line(name.as_str()));
        super::runtime().block_on(async {
            let hub = &access.hub;
            hub.create(&self.repository, !self.is_public).await?;
            Ok(hub.upload(&self.repository, &files, &title).await?.commit)
        })
    }
}

/// Reads the table of the latest loop, if there is one.
fn read_table(path: &Path) -> Result<Option<CandidateTable>, Failure> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let message = format!("failed to read `{}`: {error}", path.display());
            return Err(Failure::new(Kind::InputOutput, message));
        }
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        let message = format!("`{}` is no table of candidates: {error}", path.display());
        Failure::new(Kind::Data, message).hint("`shipworthy loop` writes it anew")
    })
}

/// Says why there is nothing to judge a candidate by, and what to do.
fn not_evaluated(candidate: &CandidateResult) -> Failure {
    let what = format!("`{}` was not evaluated", candidate.name);
    let (why, hint) = match &candidate.state {
        CandidateState::Diverged { .. } => (
            ": it diverged".to_owned(),
            "mend its configuration; `shipworthy loop --retry` tries it again as it is",
        ),
        CandidateState::Failed { step, .. } => (
            format!(": {} failed", step.label()),
            "mend what `shipworthy loop` tells; `shipworthy loop --retry` tries it again",
        ),
        CandidateState::OutOfBudget { what, .. } => (
            format!(": out of budget, {what}"),
            "raise `loop.budget`; `shipworthy loop` then goes on with it",
        ),
        CandidateState::NotTried { why } => (format!(": {why}"), "`shipworthy loop` says more"),
        CandidateState::Evaluated => (String::new(), "`shipworthy loop` goes on with it"),
    };
    Failure::new(Kind::Data, one_line(&format!("{what}{why}"))).hint(hint)
}

/// Returns a name as a directory's.
fn directory_name(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '=') {
            c
        } else {
            '-'
        }
    };
    name.chars().map(plain).collect()
}

fn show(printer: &Printer, package: &Package, output: &Path, commit: Option<&str>) {
    let servings = servings(package);
    let listed: Vec<_> = servings
        .iter()
        .map(|it| json!({ "what": it.what, "commands": it.commands }))
        .collect();
    printer.value(&json!({
        "format": 1,
        "directory": output.display().to_string(),
        "package": package,
        "serve": listed,
        "commit": commit,
    }));
    let verdict = package.verdict.label();
    let forced = match (package.forced, package.confirmed) {
        (true, _) if package.refuted_by.is_some() => ", refuted by other people, by --force",
        (true, Some(false)) => " with the people it was chosen with, not confirmed, by --force",
        (true, _) => ", by --force",
        (false, _) => "",
    };
    printer.text(&format!(
        "{}: {verdict}{forced} (run {})\n",
        one_line(&package.name),
        package.run
    ));
    for serving in servings {
        printer.text(&format!("\n{}:\n", serving.what));
        for command in serving.commands {
            printer.text(&format!("  {}\n", one_line(&command)));
        }
    }
    printer.text(&format!("\npackage {}\n", output.display()));
    if let (Some(commit), Some(_)) = (commit, output.to_str()) {
        printer.text(&format!("commit  {commit}\n"));
    }
}

impl From<PackageError> for Failure {
    fn from(error: PackageError) -> Self {
        let message = error.to_string();
        let mut failure = match error {
            PackageError::NotToShip { .. } => Self::new(Kind::Data, "")
                .hint("`--force` packages it nevertheless, and the package says so"),
            PackageError::ChosenWith { confirmation, .. } => {
                Self::new(Kind::Data, "").hint(format!(
                    "`shipworthy ship {confirmation}` packages it by that run; the candidate's name does too"
                ))
            }
            PackageError::NoFile { .. } => Self::new(Kind::Usage, ""),
            PackageError::OtherFile { .. } => {
                Self::new(Kind::Data, "").hint("bring back the file that was evaluated")
            }
            PackageError::Exists { .. } => {
                Self::new(Kind::Usage, "").hint("name another directory with `--out`")
            }
            PackageError::NotWhole { .. } => {
                Self::new(Kind::Data, "").hint("`shipworthy loop` makes it again")
            }
            PackageError::Write(error) => return error.into(),
            PackageError::Tuning(error) => (*error).into(),
            PackageError::Model(error) => (*error).into(),
            PackageError::Store(error) => return error.into(),
        };
        failure.message = message;
        failure
    }
}
