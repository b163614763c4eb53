use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shipworthy_backends::diagnosis::Where;
use shipworthy_backends::jobs::{Conclusion, Job, JobId};
use shipworthy_backends::trainer::{ScriptListener, TrainError};
use shipworthy_schema::finetune::FinetuneConfig;
use shipworthy_schema::{TrainingEvent, TrainingReport, TrainingWarning};

use super::begin::OUTPUT;
use super::hub_run::HubRun;
use super::{AtHub, HubEvent};
use crate::remote_job::{FinishEvent, Finished, finish};
use crate::tuning::course::Course;
use crate::tuning::error::TuningError;
use crate::tuning::run::RunWatch;

/// Name of the job's log in the output directory.
const LOG: &str = "train.log";

/// Time from one look at whether to leave to the next.
const PAUSE: Duration = Duration::from_millis(100);

/// A training that was followed to its end.
#[derive(Debug)]
pub struct Followed {
    /// Its report, as written.
    pub report: TrainingReport,
    /// The job as it ended.
    pub job: Job,
}

/// Follows a training at the Hub to its end, brings what it left here, and writes the records of the run.
///
/// A connection that is lost is made again, and the log is read from its beginning, so that the records are the same whoever
/// followed how often. Once `watch.stop` is true the job is left ([`TuningError::Left`]), and goes on.
pub async fn follow(
    mut run: HubRun,
    at: &AtHub<'_>,
    watch: &mut RunWatch<'_>,
) -> Result<Followed, TuningError> {
    let id = JobId::parse(&run.job.id, None).ok_or_else(|| TuningError::JobFile {
        path: run.job.directory.clone().unwrap_or_default(),
        detail: format!("`{}` is no job", run.job.id),
    })?;
    let output = run.job.directory.clone().unwrap_or_default();
    let mut course = run.course()?;
    // The log is told from its beginning.
    let _ = std::fs::remove_file(output.join(LOG));
    let secrets = at.secrets.values().cloned().collect();
    // Checkpoints lie where the job runs.
    let remote = FinetuneConfig {
        output_dir: PathBuf::from(OUTPUT),
        ..course.config.opened.clone()
    };
    let mut listener = ScriptListener::new(&remote, run.plan.clone(), &output.join(LOG), secrets)?;
    let stop = watch.stop;
    let mut heard: Result<(), TuningError> = Ok(());
    let mut told = |event: FinishEvent<'_>| match event {
        FinishEvent::Line(line) => {
            let text = at.redact(&line.text);
            (at.told)(HubEvent::Line(&text));
            let mut observe = |event| record(&mut course, &event, watch, &mut heard);
            // A loss that is no number ends the script too, and then counts as what ended it.
            if let Err(error) = listener.hear(&text, &mut observe) {
                heard = Err(error.into());
            }
        }
        FinishEvent::Download { file, bytes } => (at.told)(HubEvent::Download { file, bytes }),
    };
    let price = run.job.usd_per_minute;
    let finished = tokio::select! {
        finished = finish(at.hub, at.store, &mut run.job, &id, &mut told) => finished,
        () = asked(stop) => return Err(TuningError::Left { job: id.to_string() }),
        never = look(at, &id, price) => match never {},
    };
    let finished = finished.map_err(|source| TuningError::Lost {
        job: id.to_string(),
        source,
    })?;
    run.write()?;
    let Finished {
        job, conclusion, ..
    } = finished;
    match outcome(&id, &job, &conclusion, at) {
        Ok(despite) => {
            if let Some(what) = despite {
                let warning = TrainingWarning::Other {
                    what,
                    mend: String::new(),
                };
                let event = TrainingEvent::Warned { warning };
                record(&mut course, &event, watch, &mut heard);
            }
            if !listener.has_ended() {
                let mut observe = |event| record(&mut course, &event, watch, &mut heard);
                listener.conclude(&output, &mut observe);
            }
            heard?;
            let report = course.finish()?;
            Ok(Followed { report, job })
        }
        Err(error) => {
            let error = match heard {
                Err(TuningError::Train(cause)) => cause,
                _ => error,
            };
            course.fail(&error)?;
            Err(error.into())
        }
    }
}

/// Keeps what an event tells and passes it on; the first failure to keep it stays.
fn record(
    course: &mut Course,
    event: &TrainingEvent,
    watch: &mut RunWatch<'_>,
    kept: &mut Result<(), TuningError>,
) {
    if kept.is_ok() {
        *kept = course
            .record(event, (watch.wall_time)())
            .map_err(TuningError::from);
    }
    (watch.observe)(event);
}

/// Returns what is to be said of a training that is done, or why it is not.
fn outcome(
    id: &JobId,
    job: &Job,
    conclusion: &Conclusion,
    at: &AtHub<'_>,
) -> Result<Option<String>, TrainError> {
    let failed = |detail: String, mend| {
        let detail = at.redact(&detail);
        Err(TrainError::Program { detail, mend })
    };
    let list = |missing: &[String]| missing.join("; ");
    match conclusion {
        Conclusion::Done { despite } => Ok(despite.as_ref().map(|despite| {
            format!("All that was expected is there, though job {id} says: {despite}.")
        })),
        Conclusion::Unproven => Ok(None),
        Conclusion::Incomplete { missing } => failed(
            format!(
                "job {id} ended well, and not all is there: {}",
                list(missing)
            ),
            "look at the end of `train.log`, and whether its token may write the repository",
        ),
        Conclusion::Cancelled => failed(format!("job {id} was stopped"), ""),
        Conclusion::Failed { missing, diagnosis } => {
            let mut detail = format!("job {id} failed");
            let line = diagnosis.as_ref().map(|diagnosis| &diagnosis.line);
            for said in [job.message.as_ref(), line].into_iter().flatten() {
                detail.push_str(": ");
                detail.push_str(said);
            }
            if !missing.is_empty() {
                detail.push_str("; ");
                detail.push_str(&list(missing));
            }
            let mend = diagnosis
                .as_ref()
                .map_or("", |diagnosis| diagnosis.fault.mend(Where::TrainingJob));
            failed(detail, mend)
        }
    }
}

/// Waits until somebody asks to leave.
async fn asked(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(PAUSE).await;
    }
}

/// Tells where the job is and what it costs, for ever; what cannot be asked now is asked the next time.
async fn look(at: &AtHub<'_>, id: &JobId, usd_per_minute: Option<f64>) -> Infallible {
    loop {
        if let Ok(job) = at.hub.job(id).await {
            let minutes = job.billed_s().map(|seconds| seconds.div_ceil(60) as f64);
            let cost_usd = minutes
                .zip(usd_per_minute)
                .map(|(minutes, usd)| minutes * usd);
            (at.told)(HubEvent::Looked {
                job: &job,
                cost_usd,
            });
        }
        tokio::time::sleep(at.look_every).await;
    }
}
