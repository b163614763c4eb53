use std::path::Path;

use serde_json::json;
use shipworthy_backends::jobs::{JobId, LogLine, LogPosition};
use shipworthy_harness::remote_job::{FinishEvent, RemoteJob, finish};
use shipworthy_harness::store::Store;
use shipworthy_harness::tuning::at_hub::HubRun;

use super::conclusion;
use super::hub::HubAccess;
use crate::cli::error::{Failure, Kind};
use crate::cli::printer::Printer;
use crate::cli::project::{ConfigPath, Project};
use crate::cli::train::at_hub;
use crate::cli::{Outcome, exit_code, interrupted};

/// Deepest indentation of a line that is shown.
const INDENT: usize = 40;

/// Returns a line of a log with nothing in it that a terminal would obey.
pub(in crate::cli) fn inert(text: &str) -> String {
    let indent = text.chars().take_while(|c| *c == ' ').count().min(INDENT);
    format!(
        "{}{}",
        " ".repeat(indent),
        shipworthy_reports::one_line(text)
    )
}

/// Prints what a job has written.
pub(super) async fn logs(
    printer: &Printer,
    access: &HubAccess,
    id: &JobId,
    follow: bool,
) -> Outcome {
    let mut lines = Vec::new();
    let mut told = |line: &LogLine| {
        if printer.json() {
            lines.push(json!({ "timestamp": line.timestamp, "text": line.text }));
        } else {
            printer.data(&format!("{}\n", inert(&line.text)));
        }
    };
    if follow {
        let mut position = LogPosition::default();
        let followed = access.hub.follow(id, &mut position, &mut told);
        tokio::select! {
            job = followed => drop(job?),
            _ = tokio::signal::ctrl_c() => return Err(left(&id.to_string())),
        }
    } else {
        access.hub.log_so_far(id, &mut told).await?;
    }
    printer.value(&json!({ "format": 1, "job": id.to_string(), "lines": lines }));
    Ok(exit_code::SUCCESS)
}

/// Follows a job that may have been started elsewhere.
pub(super) async fn wait(
    printer: &Printer,
    access: &HubAccess,
    path: &ConfigPath,
    id: &JobId,
    out: Option<&Path>,
) -> Outcome {
    let store = Store::open(&Project::of(&path.file()).store())?;
    let name = id.to_string();
    let known = store.jobs()?.into_iter().find(|job| job.id == name);
    let endpoint = access.hub.endpoint().as_str();
    let mut record = known.unwrap_or_else(|| RemoteJob::of_others(name, endpoint.to_owned()));
    if record.endpoint != endpoint {
        let message = format!("job {} was given to {}", record.id, record.endpoint);
        return Err(Failure::new(Kind::Usage, message).hint("set `HF_ENDPOINT` to that"));
    }
    if let (None, Some(directory)) = (out, &record.directory)
        && let Some(run) = HubRun::of(directory)?
        && run.job.id == record.id
    {
        // A fine-tuning: its records are written too.
        return at_hub::take_up(printer, access, &store, run).await;
    }
    if let Some(out) = out {
        if record.output.is_none() {
            let message = format!("nobody said where job {} leaves its output", record.id);
            return Err(Failure::new(Kind::Usage, message)
                .hint("start jobs with `--output-repo`, from this project"));
        }
        record.directory = Some(out.to_owned());
    }
    to_the_end(printer, access, &store, record).await
}

/// Follows a job to its end, looks at what it left, and brings that here.
pub(super) async fn to_the_end(
    printer: &Printer,
    access: &HubAccess,
    store: &Store,
    mut record: RemoteJob,
) -> Outcome {
    let id = JobId::parse(&record.id, None);
    let id = id.ok_or_else(|| Failure::new(Kind::Data, format!("`{}` is no job", record.id)))?;
    let mut shown = None;
    let mut told = |event: FinishEvent<'_>| match event {
        FinishEvent::Line(line) => printer.note(&inert(&line.text)),
        FinishEvent::Download { file, bytes } => {
            let quarter = (bytes * 4).checked_div(file.size).unwrap_or(4);
            if printer.progress() && shown != Some((file.path.clone(), quarter)) {
                let path = shipworthy_reports::one_line(&file.path);
                printer.note(&format!("{path}: {bytes} of {} bytes", file.size));
                shown = Some((file.path.clone(), quarter));
            }
        }
    };
    let finished = tokio::select! {
        finished = finish(&access.hub, store, &mut record, &id, &mut told) => finished,
        _ = tokio::signal::ctrl_c() => return Err(left(&id.to_string())),
    };
    let finished = finished.map_err(|error| Failure::from(error).hint(again(&id.to_string())))?;
    conclusion::tell(printer, &record, &finished)
}

pub(in crate::cli) fn again(id: &str) -> String {
    format!("`shipworthy jobs wait {id}` takes it up again")
}

pub(in crate::cli) fn left(id: &str) -> Failure {
    interrupted()
        .hint(format!("the job goes on; {}", again(id)))
        .hint(format!("`shipworthy jobs cancel {id}` stops it"))
}
