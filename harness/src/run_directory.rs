//! The files of a run that people and CI read, rendered from its evaluation.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use shipworthy_schema::{Conversation, ConversationScore, Evaluation, Persona, Plan};
use thiserror::Error;

use crate::evaluation::EvaluationError;
use crate::preparation::personas_of_run;
use crate::store::Store;

/// Says why a file could not be written.
#[derive(Debug, Error)]
#[error("failed to write `{path}`: {source}")]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

/// Name of the report for people.
pub const REPORT: &str = "evaluation_report.md";

/// Name of the same report as a page, with everything said.
pub const PAGE: &str = "evaluation_report.html";

/// Name of the verdict as CI systems show test results.
pub const JUNIT: &str = "junit.xml";

/// Name of the file with everything said.
pub const TRANSCRIPTS: &str = "transcripts.jsonl";

/// Writes all artefacts of `evaluation` into `directory`, making it if need be.
///
/// The report comes last: where it is, the others are.
pub fn write(directory: &Path, evaluation: &Evaluation, personas: &str) -> Result<(), WriteError> {
    let Evaluation {
        plan,
        conversations,
        scores,
        ..
    } = evaluation;
    // Each is half of the work.
    let page = || write_file(&directory.join(PAGE), &shipworthy_reports::html(evaluation));
    let others = || {
        let plan = serde_json::to_string_pretty(plan).expect("a plan is plain data") + "\n";
        write_file(&directory.join("plan.json"), &plan)?;
        write_file(&directory.join("personas.jsonl"), personas)?;
        write_transcripts(directory, &evaluation.personas, conversations, scores)?;
        if evaluation.pairwise.is_some() {
            let pairs = shipworthy_reports::pairs_jsonl(&evaluation.pairs);
            write_file(&directory.join("pairs.jsonl"), &pairs)?;
        }
        let decision = shipworthy_reports::decision_json(evaluation);
        write_file(&directory.join("decision.json"), &decision)?;
        let junit = shipworthy_reports::junit(evaluation);
        write_file(&directory.join(JUNIT), &junit)
    };
    let (page, others) = rayon::join(page, others);
    others.and(page)?;
    write_file(
        &directory.join(REPORT),
        &shipworthy_reports::markdown(evaluation),
    )
}

/// Name of what the regression gate said of a run of candidates alone.
pub const GATE: &str = "gate.json";

/// Writes what a run of candidates alone has besides its transcripts.
pub fn write_candidates(
    directory: &Path,
    plan: &Plan,
    personas: &str,
    gate: &str,
) -> Result<(), WriteError> {
    let plan = serde_json::to_string_pretty(plan).expect("a plan is plain data") + "\n";
    write_file(&directory.join("plan.json"), &plan)?;
    write_file(&directory.join("personas.jsonl"), personas)?;
    write_file(&directory.join(GATE), gate)
}

/// Writes what was said and how it was scored, all there is of an evaluation without a verdict.
pub fn write_transcripts(
    directory: &Path,
    personas: &[Persona],
    conversations: &[Conversation],
    scores: &[ConversationScore],
) -> Result<(), WriteError> {
    let transcripts = shipworthy_reports::transcripts_jsonl(personas, conversations, scores);
    write_file(&directory.join(TRANSCRIPTS), &transcripts)?;
    let scores = shipworthy_reports::scores_csv(conversations, scores);
    write_file(&directory.join("scores.csv"), &scores)
}

/// Writes `junit.xml` of an evaluation that has no verdict, and says why.
pub fn write_invalid(directory: &Path, project: &str, reason: &str) -> Result<(), WriteError> {
    let junit = shipworthy_reports::junit_invalid(project, reason);
    write_file(&directory.join(JUNIT), &junit)
}

/// Writes what was said in a run that has no verdict, so that people can see why.
pub fn write_without_verdict(
    store: &Store,
    run: &str,
    directory: &Path,
    reason: &str,
) -> Result<(), EvaluationError> {
    let written = |error: WriteError| EvaluationError::Write(error);
    let (conversations, scores) = (store.conversations(run)?, store.scores(run)?);
    let found = store.run(run)?;
    let personas = found.as_ref().map(personas_of_run).transpose()?;
    let personas = personas.unwrap_or_default();
    write_transcripts(directory, &personas, &conversations, &scores).map_err(written)?;
    let name = found.map_or_else(String::new, |run| run.plan.project);
    write_invalid(directory, &name, reason).map_err(written)
}

/// Writes `content` to `path` by way of a temporary file, so that nobody ever reads half of it; to a
/// device or a pipe as it is.
pub fn write_file(path: &Path, content: &str) -> Result<(), WriteError> {
    let failed = |source| WriteError {
        path: path.to_owned(),
        source,
    };
    if let Ok(metadata) = std::fs::metadata(path) {
        // A device or a pipe is written to, not replaced.
        if !metadata.is_file() && !metadata.is_dir() {
            return std::fs::write(path, content).map_err(failed);
        }
    }
    // So is what a link leads to.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    file.write_all(content.as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    make_readable(file.as_file()).map_err(failed)?;
    file.persist(&target).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Temporary files are born private; artefacts are to be read by others, CI among them.
#[cfg(unix)]
fn make_readable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}
