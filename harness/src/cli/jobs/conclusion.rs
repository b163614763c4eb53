use std::fmt::Write as _;

use serde_json::json;
use shipworthy_backends::diagnosis::{Diagnosis, Where};
use shipworthy_backends::jobs::{Conclusion, Job};
use shipworthy_harness::remote_job::{Finished, RemoteJob};
use shipworthy_reports::{amount_text, one_line};

use crate::cli::error::{Failure, Kind};
use crate::cli::printer::Printer;
use crate::cli::{Outcome, exit_code};

/// Returns what a job has cost so far, in US dollars.
pub(super) fn cost_usd(job: &Job, usd_per_minute: Option<f64>) -> Option<f64> {
    let minutes = job.billed_s()?.div_ceil(60);
    Some(minutes as f64 * usd_per_minute?)
}

/// Returns how long a job took and what it cost, as far as that is known.
pub(in crate::cli) fn took(job: &Job, usd_per_minute: Option<f64>) -> String {
    let mut text = match job.billed_s() {
        None => "time unknown".to_owned(),
        Some(seconds) if seconds < 120 => format!("{seconds} s"),
        Some(seconds) => format!("{} min", seconds.div_ceil(60)),
    };
    match cost_usd(job, usd_per_minute) {
        Some(usd) => {
            let _ = write!(text, ", about {} USD", amount_text(usd));
        }
        None => text.push_str(", cost unknown"),
    }
    text
}

fn mend(diagnosis: Option<&Diagnosis>) -> Option<&'static str> {
    let mend = diagnosis?.fault.mend(Where::Job);
    (!mend.is_empty()).then_some(mend)
}

/// Says what a job has come to, and fails where that is not what was wanted.
pub(super) fn tell(printer: &Printer, record: &RemoteJob, finished: &Finished) -> Outcome {
    let Finished {
        job,
        conclusion,
        files: n_files,
    } = finished;
    let id = &record.id;
    let took = took(job, record.usd_per_minute);
    let missing = match conclusion {
        Conclusion::Incomplete { missing } | Conclusion::Failed { missing, .. } => {
            missing.as_slice()
        }
        _ => &[],
    };
    let missing_text = || {
        let lines = missing.iter().map(|line| one_line(line));
        lines.collect::<Vec<_>>().join("; ")
    };
    let failure = match conclusion {
        Conclusion::Done { despite } => {
            let mut text = format!("{id}: done, {took}\n");
            if let Some(despite) = despite {
                let _ = writeln!(
                    text,
                    "All that was expected is there, though the job says: {}",
                    one_line(despite)
                );
            }
            if let (Some(output), Some(directory)) = (&record.output, &record.directory) {
                let _ = writeln!(
                    text,
                    "{n_files} files of {} are in {}",
                    output.repository,
                    directory.display()
                );
            }
            printer.text(&text);
            None
        }
        Conclusion::Unproven => {
            printer.text(&format!("{id}: its command ended well, {took}\n"));
            printer.note("note: nobody said what it was to leave (`--output-repo`, `--expect`), so that was not looked at");
            None
        }
        Conclusion::Incomplete { .. } => Some(
            Failure::new(
                Kind::Data,
                format!(
                    "job {id} ended well, and not all is there: {}",
                    missing_text()
                ),
            )
            .hint("look at what the script pushes, and at the end of its log"),
        ),
        Conclusion::Cancelled => Some(Failure::new(
            Kind::Interrupted,
            format!("job {id} was stopped, {took}"),
        )),
        Conclusion::Failed { diagnosis, .. } => {
            let said = job.message.as_deref().unwrap_or("it says no more");
            let mut message = format!("job {id} failed, {took}: {}", one_line(said));
            if let Some(diagnosis) = diagnosis {
                let _ = write!(message, "; {}", one_line(&diagnosis.line));
            }
            let failure = Failure::new(Kind::Data, message);
            let failure = match mend(diagnosis.as_ref()) {
                Some(mend) => failure.hint(mend),
                None => failure.hint(format!("`shipworthy jobs logs {id}` shows what it wrote")),
            };
            Some(if missing.is_empty() {
                failure
            } else {
                failure.hint(format!("of what was expected: {}", missing_text()))
            })
        }
    };
    let code = failure
        .as_ref()
        .map_or(exit_code::SUCCESS, |it| it.kind.exit_code());
    if let Some(failure) = failure {
        if !printer.json() {
            return Err(failure);
        }
        printer.note(&format!("error: {}", one_line(&failure.message)));
        for hint in &failure.hints {
            printer.note(&format!("hint: {hint}"));
        }
    }
    let diagnosis = match conclusion {
        Conclusion::Failed { diagnosis, .. } => diagnosis.as_ref(),
        _ => None,
    };
    printer.value(&json!({
        "format": 1,
        "job": id,
        "conclusion": conclusion.name(),
        "stage": job.stage.name(),
        "message": job.message,
        "missing": missing,
        "fault": diagnosis.map(|it| it.fault.name()),
        "line": diagnosis.map(|it| &it.line),
        "mend": mend(diagnosis),
        "seconds": job.billed_s(),
        "cost_usd": cost_usd(job, record.usd_per_minute),
        "files": n_files,
        "directory": record.directory,
        "exit_code": code,
    }));
    Ok(code)
}
