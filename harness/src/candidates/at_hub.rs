use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use shipworthy_backends::Secret;
use shipworthy_backends::hub::Hub;
use shipworthy_backends::jobs::JobId;
use shipworthy_backends::trainer::{Resume, TrainError};
use shipworthy_schema::finetune::TrainerKind;
use shipworthy_schema::{CandidateState, TrainingReport};

use super::error::{LoopError, Setback};
use super::making::{LoopEvent, Making, Project, TRAINED};
use super::recipe::Recipe;
use super::sources::readable;
use super::training::{STEP, remove};
use crate::config::Config;
use crate::remote_job::RemoteJobError;
use crate::tuning::at_hub::{AtHub, HubEvent, HubRun, Rental, begin, check_weights, follow};
use crate::tuning::{CONFIG, RunWatch, TuningError};

/// The token without which a job could push nothing.
const TOKEN: &str = "HF_TOKEN";

/// The Hub as a loop uses it.
pub struct HubAccess {
    /// The Hub.
    pub hub: Hub,
    /// What is secret of any candidate's job, by name.
    pub secrets: BTreeMap<String, Secret>,
    /// Time from one look at a job to the next.
    pub look_every: Duration,
}

/// Returns the names of the secrets that the jobs of a loop's candidates need; `None` if no candidate is trained at the Hub.
pub fn secrets_at_hub(config: &Config, file: &Path) -> Option<Vec<String>> {
    let wanted = &config.candidates.as_ref()?.value;
    let mut configs = readable(wanted, file);
    configs.retain(|config| config.opened.trainer == TrainerKind::HfJobs);
    if configs.is_empty() {
        return None;
    }
    let jobs = configs.into_iter().filter_map(|it| it.opened.hf_jobs);
    let mut names: Vec<String> = jobs.flat_map(|job| job.secrets).collect();
    names.push(TOKEN.to_owned());
    names.sort();
    names.dedup();
    Some(names)
}

/// Returns what the jobs of a candidate have cost in US dollars, those that failed too, as far as that is known.
pub(super) fn cost_at_hub(project: &Project<'_>, recipe: &Recipe) -> Result<f64, LoopError> {
    let output = absolute(&project.directory().join(recipe.directory()).join(TRAINED));
    let jobs = project.store.jobs()?.into_iter();
    let own = jobs.filter(|job| job.directory.as_ref() == Some(&output));
    Ok(own.filter_map(|job| job.cost_usd).sum())
}

impl Making<'_> {
    /// Has a job train the candidate, or takes up the one that does.
    pub(super) fn train_at_hub(&mut self, output: &Path) -> Result<TrainingReport, Setback> {
        let output = absolute(output);
        let project = self.project;
        let Some(access) = &project.hub else {
            let error = TuningError::Setting {
                place: self.recipe.config.places.value_of("trainer"),
                source: TrainError::Setting {
                    key: "trainer",
                    detail: "nobody has said how the Hub is reached".to_owned(),
                },
            };
            return Err(self.of_training(error).into());
        };
        let found = self.located(HubRun::of(&output))?;
        let run = match found.filter(|run| self.is_to_be_followed(run)) {
            Some(mut run) => {
                if run.job.endpoint != access.hub.endpoint().as_str() {
                    let detail = format!("its job was given to {}", run.job.endpoint);
                    let error = TuningError::JobFile {
                        path: output,
                        detail,
                    };
                    return Err(self.of_training(error).into());
                }
                let steps = run.steps();
                self.observer.tell(&LoopEvent::Planned { steps });
                // The project may have been moved meanwhile.
                run.job.directory = Some(output.clone());
                run
            }
            None => self.begin_job(access, &output)?,
        };
        match self.follow_job(access, run, true) {
            Err(TuningError::Left { job }) if project.halt.reason().is_none() => {
                self.stop_job(access, &job, &output)
            }
            Ok(report) => Ok(report),
            Err(error) => Err(self.failed(error)?),
        }
    }

    /// Tells whether a job that the directory has is this training's; otherwise another one is to be started.
    fn is_to_be_followed(&self, run: &HubRun) -> bool {
        match run.job.conclusion.as_deref() {
            None => true,
            // Its time was over, and there is more now.
            Some("cancelled") => false,
            // The process ended before that was entered. Else it is tried again, or what was removed is made again.
            Some(_) => !self.is_entered(),
        }
    }

    fn begin_job(&mut self, access: &HubAccess, output: &Path) -> Result<HubRun, Setback> {
        let project = self.project;
        self.check_no_other_job(access)?;
        let prepared = remove(output).and_then(|()| {
            let preflight = self.preflight(output, Resume::Anew)?;
            let rental = project.runtime.block_on(async {
                let rental = Rental::find(&access.hub, &preflight).await?;
                let config = &preflight.config;
                check_weights(&access.hub, config, &rental.revision).await?;
                Ok::<_, TuningError>(rental)
            })?;
            Ok((preflight, rental))
        });
        let (preflight, rental) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return Err(self.failed(error)?),
        };
        if let Some(left) = self.money_left
            && rental.most_usd.is_none_or(|most| most > left)
        {
            let most = rental.most_usd.map_or_else(
                || "nobody knows how much".to_owned(),
                |most| format!("{most:.2}"),
            );
            let what = format!(
                "`loop.budget.money`, of which {left:.2} are left, and the job may take {most}"
            );
            return Err(Setback::OfCandidate(CandidateState::OutOfBudget {
                step: STEP,
                what,
            }));
        }
        self.check_halt()?;
        let config_file = preflight.config.directory.join(CONFIG);
        let told = |event: HubEvent<'_>| self.observer.tell(&LoopEvent::AtHub { event: &event });
        let at = at(access, project, self.recipe, &told);
        let begun = begin(preflight, &config_file, &rental, &at);
        match project.runtime.block_on(begun) {
            Ok(run) => Ok(run),
            Err(error) => Err(self.failed(error)?),
        }
    }

    /// Errors if a job that goes on pushes to the repository of this candidate's: what one pushes would be taken for the other's.
    fn check_no_other_job(&self, access: &HubAccess) -> Result<(), Setback> {
        let own = self.recipe.config.opened.hub_model_id.as_ref();
        for job in self.project.store.jobs()? {
            let repository = job.output.map(|output| output.repository);
            let (None, true, Some(id)) = (
                &job.conclusion,
                job.endpoint == access.hub.endpoint().as_str() && repository.as_ref() == own,
                JobId::parse(&job.id, None),
            ) else {
                continue;
            };
            let now = self.project.runtime.block_on(access.hub.job(&id));
            let now = self.located(now.map_err(remote))?;
            if !now.stage.is_end() {
                return Err(LoopError::JobUnderWay {
                    name: self.recipe.name.clone(),
                    job: job.id,
                    repository: repository.unwrap_or_default(),
                }
                .into());
            }
        }
        Ok(())
    }

    /// Follows the job to its end; `bounded`: or until the candidate's time is over.
    fn follow_job(
        &mut self,
        access: &HubAccess,
        run: HubRun,
        bounded: bool,
    ) -> Result<TrainingReport, TuningError> {
        let (project, observer) = (self.project, self.observer);
        let stopwatch = RefCell::new(&mut self.stopwatch);
        let tick = || {
            // A store that fails shows at the next step, when nothing of the training is lost.
            let is_over = matches!(stopwatch.borrow_mut().tick(), Ok(Some(_)));
            if (is_over && bounded) || project.halt.reason().is_some() {
                project.stop.store(true, Ordering::Relaxed);
            }
        };
        let told = |event: HubEvent<'_>| {
            observer.tell(&LoopEvent::AtHub { event: &event });
            tick();
        };
        let at = at(access, project, self.recipe, &told);
        let mut observe = |event: &_| {
            observer.tell(&LoopEvent::Training { event });
            tick();
        };
        let mut watch = RunWatch {
            observe: &mut observe,
            stop: project.stop,
            wall_time: project.wall_time,
        };
        let followed = project.runtime.block_on(follow(run, &at, &mut watch))?;
        Ok(followed.report)
    }

    /// Stops a job whose candidate's time is over, so that it is not paid for any longer.
    fn stop_job(
        &mut self,
        access: &HubAccess,
        job: &str,
        output: &Path,
    ) -> Result<TrainingReport, Setback> {
        let what = self.stopwatch.exhausted();
        self.project.stop.store(false, Ordering::Relaxed);
        if let Some(id) = JobId::parse(job, None) {
            let stopped = self.project.runtime.block_on(access.hub.cancel(&id));
            self.located(stopped.map_err(remote))?;
        }
        // What it cost is entered at its end.
        if let Some(run) = self.located(HubRun::of(output))? {
            match self.follow_job(access, run, false) {
                // It was faster.
                Ok(report) => return Ok(report),
                Err(error @ (TuningError::Left { .. } | TuningError::Lost { .. })) => {
                    return Err(self.of_training(error).into());
                }
                Err(_) => {}
            }
        }
        Err(Setback::OfCandidate(CandidateState::OutOfBudget {
            step: STEP,
            what: what.unwrap_or_else(|| "time".to_owned()),
        }))
    }
}

fn at<'a>(
    access: &'a HubAccess,
    project: &'a Project<'_>,
    recipe: &Recipe,
    told: &'a dyn Fn(HubEvent<'_>),
) -> AtHub<'a> {
    AtHub {
        hub: &access.hub,
        store: &project.store,
        secrets: secrets(access, recipe),
        look_every: access.look_every,
        told,
    }
}

/// Returns the secrets of a candidate's job.
fn secrets(access: &HubAccess, recipe: &Recipe) -> BTreeMap<String, Secret> {
    let job = recipe.config.opened.hf_jobs.as_ref();
    let is_own = |name: &str| {
        let own = job.is_some_and(|job| job.secrets.iter().any(|own| own == name));
        name == TOKEN || own
    };
    let all = access.secrets.iter();
    all.filter(|(name, _)| is_own(name))
        .map(|(name, secret)| (name.clone(), secret.clone()))
        .collect()
}

fn remote(error: shipworthy_backends::hub::HubError) -> TuningError {
    TuningError::Remote(RemoteJobError::Hub(error))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
