//! A directory with a model that ships, and all that is known of it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use shipworthy_models::{Adapter, Checkpoint, MergeOptions, ModelError, OutputFormat, merge};
use shipworthy_schema::{
    Artefact, CandidateTable, Digest, Evaluation, ModelName, ModelSource, Package, PackagedAdapter,
    Verdict,
};
use thiserror::Error;

use crate::run_directory::{self, WriteError, write_file};
use crate::store::StoreError;
use crate::tuning::{self, TuningError, relative_path};

/// Name of the file that says what a package is.
pub const MANIFEST: &str = "package.json";

/// What of a training is told beside the weights.
const OF_TRAINING: [&str; 5] = [
    "lineage.json",
    "finetune_report.json",
    "finetune_report.md",
    "learning_rate.svg",
    "loss.svg",
];

/// Says why there is no package.
#[derive(Debug, Error)]
pub enum PackageError {
    /// The verdict does not say so.
    #[error("`{name}` is not to ship: {why}")]
    NotToShip {
        /// The model.
        name: String,
        /// Why not, as the end of a sentence.
        why: String,
    },
    /// The run is of the people that the model was chosen with.
    #[error(
        "run {run} is of the people that `{name}` was chosen with, which ships nothing; run \
         {confirmation}, of people nobody had met, confirms it"
    )]
    ChosenWith {
        /// The model.
        name: String,
        /// The run.
        run: String,
        /// The run that confirms it.
        confirmation: String,
    },
    /// The model is no file.
    #[error("`{name}` is no GGUF file but {place}: there is nothing to package")]
    NoFile {
        /// The model.
        name: String,
        /// Where it is.
        place: String,
    },
    /// The file is another one than the one evaluated.
    #[error("`{path}` is not the file that run {run} evaluated: planned {planned}, found {found}")]
    OtherFile {
        /// The file.
        path: PathBuf,
        /// The run.
        run: String,
        /// Its digest then, shortened.
        planned: String,
        /// Its digest now, shortened.
        found: String,
    },
    /// Something is there already.
    #[error("`{path}` is there already")]
    Exists {
        /// The directory wanted.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// What training left is not whole.
    #[error("`{path}` is not what training left there")]
    NotWhole {
        /// The directory.
        path: PathBuf,
    },
    /// What training left cannot be read.
    #[error(transparent)]
    Tuning(#[from] Box<TuningError>),
    /// Base and adapter cannot be merged.
    #[error(transparent)]
    Model(#[from] Box<ModelError>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is to be packaged.
pub struct PackageRequest<'a> {
    /// Paths in plans are relative to it.
    pub project: &'a Path,
    /// The directory to make.
    pub output: &'a Path,
    /// The model.
    pub name: &'a ModelName,
    /// The run whose verdict counts.
    pub run: &'a str,
    /// That run.
    pub evaluation: &'a Evaluation,
    /// Its persona file's text.
    pub personas: &'a str,
    /// Whether people confirm it whom nobody had met; `None` where it is no loop's candidate.
    pub confirmed: Option<bool>,
    /// Runs of other people who were to confirm it, with their verdicts; one that is no *ship* outranks
    /// whatever `run` says.
    pub others: &'a [(String, Verdict)],
    /// What training left, for a candidate of a loop.
    pub trained: Option<PathBuf>,
    /// The loop's table, likewise.
    pub table: Option<&'a CandidateTable>,
    /// Whether a merged checkpoint is added.
    pub merged: bool,
    /// Whether it is made whatever the verdict is.
    pub force: bool,
}

/// Makes a package; the directory appears whole or not at all.
pub fn assemble(request: &PackageRequest<'_>) -> Result<Package, PackageError> {
    let verdict = verdict_of(request);
    let refuting = refuting(request);
    let is_fit = verdict == Verdict::Ship && request.confirmed != Some(false) && refuting.is_none();
    if !is_fit && !request.force {
        return Err(refusal(request, verdict));
    }
    if request.output.exists() {
        let path = request.output.to_owned();
        return Err(PackageError::Exists { path });
    }
    let (source, digest, context) = gguf_of(request)?;
    let parent = match request.output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(parent).map_err(failed(parent))?;
    let packing = tempfile::Builder::new()
        .prefix(".shipworthy-package-")
        .tempdir_in(parent)
        .map_err(failed(parent))?;
    let directory = packing.path();
    let gguf = source.file_name().unwrap_or_default();
    copy(&source, &directory.join(gguf))?;
    let evaluation = request.evaluation;
    run_directory::write(&directory.join("evaluation"), evaluation, request.personas)?;
    let mut package = Package {
        format: Package::FORMAT,
        project: evaluation.plan.project.clone(),
        name: request.name.to_string(),
        baseline: evaluation.plan.baseline.to_string(),
        run: request.run.to_owned(),
        verdict,
        confirmed: request.confirmed,
        refuted_by: refuting.map(|(run, _)| run.clone()),
        forced: !is_fit,
        gguf: gguf.to_string_lossy().into_owned(),
        digest,
        context,
        sampling: evaluation.plan.sampling.clone(),
        system_prompt: evaluation.plan.system_prompt.clone(),
        adapter: None,
        checkpoint: None,
        files: Vec::new(),
    };
    if let Some(trained) = &request.trained {
        add_training(request, trained, directory, &mut package)?;
    }
    if let Some(table) = request.table {
        let text = shipworthy_reports::candidates_markdown(table);
        write_file(&directory.join("candidates.md"), &text)?;
    }
    let modelfile = shipworthy_reports::modelfile(&package);
    write_file(&directory.join("Modelfile"), &modelfile)?;
    package.files = files(directory)?;
    let card = shipworthy_reports::package_card(&package, evaluation, request.table);
    write_file(&directory.join("README.md"), &card)?;
    package.files = files(directory)?;
    let manifest = serde_json::to_string_pretty(&package).expect("a package is plain data") + "\n";
    write_file(
        &directory.join(MANIFEST),
        &shipworthy_reports::inert_json(&manifest),
    )?;
    std::fs::rename(directory, request.output).map_err(failed(request.output))?;
    make_readable(request.output)?;
    // It has another name now; there is nothing left to remove.
    let _ = packing.keep();
    Ok(package)
}

/// Returns the package that is there already, if it is the one wanted, and whole.
pub fn existing(request: &PackageRequest<'_>) -> Result<Option<Package>, PackageError> {
    let path = request.output.join(MANIFEST);
    let Ok(text) = std::fs::read(&path) else {
        return Ok(None);
    };
    let Ok(package) = serde_json::from_slice::<Package>(&text) else {
        return Ok(None);
    };
    let mut found = files(request.output)?;
    found.retain(|file| file.path != MANIFEST);
    let is_wanted = package.run == request.run
        && package.name == request.name.as_str()
        && (package.checkpoint.is_some() || !request.merged)
        && package.files == found;
    Ok(is_wanted.then_some(package))
}

/// Says why the model is not to ship.
fn refusal(request: &PackageRequest<'_>, verdict: Verdict) -> PackageError {
    let name = request.name.to_string();
    if verdict != Verdict::Ship {
        let why = format!("the verdict of run {} is {}", request.run, verdict.label());
        return PackageError::NotToShip { name, why };
    }
    let passes = if request.confirmed == Some(true) {
        format!("run {} confirms it, and other", request.run)
    } else {
        "it passes with the people it was chosen with, and".to_owned()
    };
    let why = match (refuting(request), request.others.first()) {
        (Some((run, verdict)), _) => format!(
            "{passes} people nobody had met do not confirm it: the verdict of run {run} is {}",
            verdict.label()
        ),
        (None, Some((run, _))) => {
            return PackageError::ChosenWith {
                name,
                run: request.run.to_owned(),
                confirmation: run.clone(),
            };
        }
        (None, None) => format!("{passes} no others confirm it"),
    };
    PackageError::NotToShip { name, why }
}

/// Returns the run, if there is one, of people who were to confirm it and do not.
fn refuting<'a>(request: &PackageRequest<'a>) -> Option<&'a (String, Verdict)> {
    let mut others = request.others.iter();
    others.find(|(_, verdict)| *verdict != Verdict::Ship)
}

fn verdict_of(request: &PackageRequest<'_>) -> Verdict {
    let decisions = &request.evaluation.decisions;
    let own = decisions.iter().find(|it| it.model == *request.name);
    own.map_or(Verdict::Iterate, |it| it.verdict)
}

/// Returns the file that was evaluated, if it is still the same.
fn gguf_of(request: &PackageRequest<'_>) -> Result<(PathBuf, Digest, Option<u32>), PackageError> {
    let models = &request.evaluation.plan.models;
    let planned = models.iter().find(|it| it.name == *request.name);
    let (path, digest, context) = match planned.map(|it| &it.source) {
        Some(ModelSource::Gguf {
            path,
            digest,
            context,
        }) => (request.project.join(path), digest.clone(), *context),
        other => {
            let place = match other {
                Some(ModelSource::Http { url, .. }) => format!("a model at {url}"),
                Some(_) => "a file of replies".to_owned(),
                None => "no model of that run".to_owned(),
            };
            let name = request.name.to_string();
            return Err(PackageError::NoFile { name, place });
        }
    };
    let found = std::fs::File::open(&path)
        .and_then(Digest::of_reader)
        .map_err(failed(&path))?;
    if found != digest {
        return Err(PackageError::OtherFile {
            path,
            run: request.run.to_owned(),
            planned: digest.short().to_owned(),
            found: found.short().to_owned(),
        });
    }
    Ok((path, digest, context))
}

/// Adds weights and records of the training.
fn add_training(
    request: &PackageRequest<'_>,
    trained: &Path,
    directory: &Path,
    package: &mut Package,
) -> Result<(), PackageError> {
    let report = tuning::finished(trained).map_err(Box::new)?;
    let report = report.ok_or_else(|| PackageError::NotWhole {
        path: trained.to_owned(),
    })?;
    let adapter = trained.join("adapter_config.json").is_file();
    let name = if adapter { "adapter" } else { "checkpoint" };
    for artefact in &report.artefacts {
        let to = directory.join(name).join(&artefact.path);
        copy(&trained.join(&artefact.path), &to)?;
    }
    for record in OF_TRAINING {
        if trained.join(record).is_file() {
            copy(
                &trained.join(record),
                &directory.join("training").join(record),
            )?;
        }
    }
    if !adapter {
        package.checkpoint = Some(name.to_owned());
        return Ok(());
    }
    let opened = Adapter::open(trained).map_err(Box::new)?;
    let base = request.project.join(base_of(trained, &report.base.model));
    package.adapter = Some(PackagedAdapter {
        directory: name.to_owned(),
        base: seen_from(request.output, &base).unwrap_or(report.base.model),
        rank: rank_of(&report.config),
    });
    if request.merged {
        let base = Checkpoint::open(&base).map_err(Box::new)?;
        let options = MergeOptions {
            output: directory.join("merged"),
            format: OutputFormat::Base,
        };
        let mut go_on = |_| ControlFlow::Continue(());
        merge(&base, &opened, &options, &mut go_on).map_err(Box::new)?;
        package.checkpoint = Some("merged".to_owned());
    }
    Ok(())
}

fn rank_of(config: &serde_json::Map<String, serde_json::Value>) -> u32 {
    let rank = config.get("lora_r").and_then(serde_json::Value::as_u64);
    rank.and_then(|rank| u32::try_from(rank).ok()).unwrap_or(1)
}

/// Returns the path of the base: the configuration that training wrote names it as seen from there.
fn base_of(trained: &Path, written: &str) -> PathBuf {
    let config = tuning::TuningConfig::load(&trained.join(tuning::CONFIG));
    config.map_or_else(
        |_| PathBuf::from(written),
        |config| std::path::absolute(&config.opened.model).unwrap_or(config.opened.model),
    )
}

/// Returns how a base that is here is called seen from the package, so that commands find it there.
fn seen_from(output: &Path, base: &Path) -> Option<String> {
    let base = base.canonicalize().ok().filter(|base| base.is_dir())?;
    let output = std::path::absolute(output).ok()?;
    let parent = output.parent()?.canonicalize().ok()?;
    let path = relative_path(&parent.join(output.file_name()?), &base);
    path.into_os_string().into_string().ok()
}

/// Copies a file; on one disk it takes no further room.
fn copy(from: &Path, to: &Path) -> Result<(), PackageError> {
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent).map_err(failed(parent))?;
    }
    match std::fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(_) => Ok(std::fs::copy(from, to).map(drop).map_err(failed(to))?),
    }
}

/// Returns all files of a directory, by path.
fn files(directory: &Path) -> Result<Vec<Artefact>, PackageError> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(&next).map_err(failed(&next))? {
            let path = entry.map_err(failed(&next))?.path();
            if path.is_dir() {
                waiting.push(path);
                continue;
            }
            let read = std::fs::File::open(&path).map_err(failed(&path))?;
            let bytes = read.metadata().map_err(failed(&path))?.len();
            let inside = path.strip_prefix(directory).unwrap_or(&path);
            let parts = inside.iter().map(|part| part.to_string_lossy());
            found.push(Artefact {
                path: parts.collect::<Vec<_>>().join("/"),
                bytes,
                digest: Digest::of_reader(read).map_err(failed(&path))?,
            });
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> WriteError + use<> {
    let path = path.to_owned();
    move |source| WriteError {
        path: path.clone(),
        source,
    }
}

/// Temporary directories are born private; packages are for others.
#[cfg(unix)]
fn make_readable(directory: &Path) -> Result<(), PackageError> {
    use std::os::unix::fs::PermissionsExt as _;
    let permissions = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory, permissions).map_err(failed(directory))?;
    Ok(())
}

#[cfg(not(unix))]
fn make_readable(_: &Path) -> Result<(), PackageError> {
    Ok(())
}
