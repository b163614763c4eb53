use std::fs::DirEntry;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use shipworthy_backends::trainer::{Resume, TrainError, TrainingWatch};
use shipworthy_schema::{TrainingEvent, TrainingReport};

use super::config_file::TuningConfig;
use super::course::Course;
use super::error::TuningError;
use super::finished::ended_already;
use super::origins::Origins;
use super::preflight::{Preflight, located};
use crate::file_lock::FileLock;

/// The stack of the thread that trains: calls go as deep as the model, and tiles lie on it.
const STACK_BYTES: usize = 64 << 20;

/// Name of the file in the output directory that who trains there holds.
const LOCK: &str = ".training.lock";

/// Those who look on while a model is tuned.
pub struct RunWatch<'a> {
    /// Is told what happens.
    pub observe: &'a mut dyn FnMut(&TrainingEvent),
    /// Once true, training ends at the next opportunity, with a checkpoint.
    pub stop: &'a AtomicBool,
    /// Tells the time in seconds since 1970.
    pub wall_time: &'a dyn Fn() -> f64,
}

/// Trains, and writes the model and the records of the run into the output directory.
///
/// Returns the report that was written. Of a run that fails after its first step the records are
/// written too.
pub fn run(preflight: Preflight, watch: &mut RunWatch<'_>) -> Result<TrainingReport, TuningError> {
    let claim = claim(&preflight.config)?;
    if preflight.job.resume == Resume::Latest
        && let Some(report) = ended_already(&preflight)?
    {
        return Ok(report);
    }
    let trained = train(preflight, watch);
    if trained.is_err() {
        claim.give_up();
    }
    trained
}

/// A directory that is this process's to train in; given back when dropped, also by a process that dies.
pub(super) struct Claim {
    output: PathBuf,
    /// Whether the directory was not there.
    is_new: bool,
    lock: FileLock,
}

impl Claim {
    /// Takes a directory away that was made in vain.
    fn give_up(self) {
        let Self {
            output,
            is_new,
            lock,
        } = self;
        let path = output.join(LOCK);
        let is_ours = |entry: std::io::Result<DirEntry>| entry.is_ok_and(|one| one.path() == path);
        if is_new && std::fs::read_dir(&output).is_ok_and(|mut entries| entries.all(is_ours)) {
            // Whatever cannot be removed does no harm.
            let _ = std::fs::remove_file(&path);
            drop(lock);
            let _ = std::fs::remove_dir(output);
        }
    }
}

/// Makes the output directory and writes into it, before hours are spent on what cannot be kept, and sees
/// that nobody else trains there.
pub(super) fn claim(config: &TuningConfig) -> Result<Claim, TuningError> {
    let output = &config.opened.output_dir;
    let failed = |source| TuningError::Output {
        place: config.places.value_of("output_dir"),
        path: output.clone(),
        source,
    };
    let is_new = !output.exists();
    std::fs::create_dir_all(output).map_err(failed)?;
    tempfile::NamedTempFile::new_in(output).map_err(failed)?;
    let lock = FileLock::take(&output.join(LOCK)).map_err(failed)?;
    let lock = lock.ok_or_else(|| TuningError::Busy {
        path: output.clone(),
    })?;
    Ok(Claim {
        output: output.clone(),
        is_new,
        lock,
    })
}

fn train(preflight: Preflight, watch: &mut RunWatch<'_>) -> Result<TrainingReport, TuningError> {
    let Preflight {
        config,
        mut job,
        plan,
        family,
        warnings,
        trainer,
        ..
    } = preflight;
    let trainer = trainer.ok_or_else(|| TrainError::Setting {
        key: "trainer",
        detail: "`hf_jobs` trains at the Hub, not here".to_owned(),
    })?;
    let origins = Origins::here(&config, family)?;
    job.base_digest.clone_from(&origins.base.digest);
    let mut course = Course::new(config, origins, plan, trainer.version(), warnings);
    let (events, inbox) = mpsc::channel();
    let stop = watch.stop;
    let (trained, recorded) = thread::scope(|scope| {
        let training = thread::Builder::new()
            .name("training".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || {
                let events = events;
                let mut observe = |event| {
                    // Who listens has gone only with a fault of their own, which is told there.
                    let _ = events.send(event);
                };
                let mut watch = TrainingWatch {
                    observe: &mut observe,
                    stop,
                };
                trainer.train(&job, &mut watch)
            })
            .map_err(|source| TrainError::InputOutput {
                detail: "failed to start a thread to train on".to_owned(),
                source,
            })?;
        let mut recorded = Ok(());
        for event in inbox {
            if recorded.is_ok() {
                recorded = course.record(&event, (watch.wall_time)());
                if recorded.is_err() {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            (watch.observe)(&event);
        }
        let trained = training
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok::<_, TuningError>((trained, recorded))
    })?;
    recorded?;
    match trained {
        Ok(()) => course.finish(),
        Err(error) => {
            course.fail(&error)?;
            Err(located(error, &course.config))
        }
    }
}
