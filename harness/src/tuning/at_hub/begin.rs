use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use shipworthy_backends::hub::{DEFAULT_ENDPOINT, HubError, RepositoryId, RepositoryKind, Upload};
use shipworthy_backends::jobs::{DEFAULT_IMAGE, JobSpec};
use shipworthy_backends::trainer::{
    ScriptData, ScriptPlace, ScriptResume, refuse_other_run, script_version, training_script,
    write_script_data,
};
use shipworthy_schema::BaseModel;
use shipworthy_schema::finetune::{FinetuneConfig, HfJobs, Method};

use super::hub_run::HubRun;
use super::rental::Rental;
use super::{AtHub, HubEvent};
use crate::remote_job::{Launch, LaunchData, LaunchOutput, RemoteJobError, launch};
use crate::run_directory::write_file;
use crate::tuning::base_model::file_digest;
use crate::tuning::config_file::TuningConfig;
use crate::tuning::course::Course;
use crate::tuning::error::TuningError;
use crate::tuning::origins::Origins;
use crate::tuning::preflight::{Preflight, located};
use crate::tuning::run::claim;

/// Name of the script, kept beside what it leaves.
const SCRIPT: &str = "train.py";

/// The directory that it writes into where it runs.
pub(super) const OUTPUT: &str = "out";

/// Letters of a digest that a file is called by: two runs may share a repository.
const SHORT: usize = 12;

/// Uploads what is learnt, starts the job, and writes into the output directory what another process needs to
/// take it up; `file` is the configuration's.
///
/// Errors if the directory has a job that was not brought to its end, or another run's weights. Nothing is paid for then.
pub async fn begin(
    preflight: Preflight,
    file: &Path,
    rental: &Rental,
    at: &AtHub<'_>,
) -> Result<HubRun, TuningError> {
    let Preflight {
        config,
        job,
        plan,
        family,
        warnings,
        ..
    } = preflight;
    let output = config.opened.output_dir.clone();
    if let Some(run) = HubRun::of(&output)?
        && run.job.conclusion.is_none()
    {
        return Err(TuningError::JobUnderWay {
            path: output,
            job: run.job.id,
        });
    }
    refuse_other_run(&job)?;
    let _claim = claim(&config)?;
    let hub_job = section(&config)?;
    let base = BaseModel {
        model: format!("{}@{}", hub_job.model, rental.revision),
        digest: None,
        weights: None,
        family,
    };
    let origins = Origins::with_base(&config, base)?;
    let mut uploads = Vec::new();
    let mut at_hub = |data, name| at_hub(data, name, hub_job, &mut uploads);
    let (data, eval) = write_script_data(&job)?;
    let place = ScriptPlace {
        model: hub_job.model.clone(),
        model_revision: Some(rental.revision.clone()),
        dataset: at_hub(data, "train")?,
        eval_dataset: eval.map(|eval| at_hub(eval, "eval")).transpose()?,
        output_dir: OUTPUT.to_owned(),
        init_adapter: None,
        resume: ScriptResume::Anew,
    };
    let script = training_script(&job.config, &place).map_err(|error| located(error, &config))?;
    write_file(&output.join(SCRIPT), &script)?;
    let start = Launch {
        namespace: rental.namespace.clone(),
        spec: JobSpec {
            name: name(&config),
            image: DEFAULT_IMAGE.to_owned(),
            script,
            arguments: Vec::new(),
            flavour: rental.flavour.name.clone(),
            timeout: rental.timeout,
            environment: environment(at),
            secrets: at.secrets.clone(),
        },
        flavour: rental.flavour.clone(),
        data: Some(LaunchData {
            files: uploads,
            repository: repository(RepositoryKind::Dataset, &hub_job.dataset_repo)?,
        }),
        output: Some(LaunchOutput {
            repository: repository(
                RepositoryKind::Model,
                config.opened.hub_model_id.as_deref().unwrap_or_default(),
            )?,
            files: expected(&config.opened),
            last_step: Some(plan.steps),
        }),
        directory: Some(std::path::absolute(&output).unwrap_or(output)),
    };
    let mut uploaded = |repository: &RepositoryId, done: &_| {
        (at.told)(HubEvent::Uploaded { repository, done });
    };
    let job = launch(at.hub, at.store, start, &mut uploaded).await?;
    let trainer = script_version(config.opened.trainer);
    let run = HubRun::new(job, &config, file, origins, plan, trainer, warnings);
    run.write()?;
    Course::write_config(&run.course()?)?;
    Ok(run)
}

fn section(config: &TuningConfig) -> Result<&HfJobs, TuningError> {
    config.opened.hf_jobs.as_ref().ok_or_else(|| {
        let place = config.places.value_of("hf_jobs");
        place.error("there is no such section").into()
    })
}

fn repository(kind: RepositoryKind, name: &str) -> Result<RepositoryId, TuningError> {
    let read = RepositoryId::parse(kind, name);
    read.map_err(|error: HubError| TuningError::Remote(RemoteJobError::Hub(error)))
}

/// Says where a file of this machine is to lie at the Hub, and has it uploaded.
fn at_hub(
    data: ScriptData,
    name: &str,
    job: &HfJobs,
    uploads: &mut Vec<Upload>,
) -> Result<ScriptData, TuningError> {
    let ScriptData::File { path, sha256 } = data else {
        return Ok(data);
    };
    let local = PathBuf::from(path);
    let sha256 = match sha256 {
        Some(sha256) => sha256,
        None => file_digest(&local)?.to_string(),
    };
    let path = format!("{name}-{}.jsonl", &sha256[..SHORT.min(sha256.len())]);
    uploads.push(Upload {
        local,
        path: path.clone(),
    });
    Ok(ScriptData::Hub {
        repository: job.dataset_repo.clone(),
        path,
        revision: None,
        sha256: Some(sha256),
    })
}

/// Returns what people call the job: the run's name, or its output directory's.
fn name(config: &TuningConfig) -> String {
    let directory = config.written.output_dir.file_name();
    let directory = || directory.map(|name| name.to_string_lossy().into_owned());
    let name = config.opened.run_name.clone().or_else(directory);
    name.unwrap_or_else(|| "finetune".to_owned())
}

fn environment(at: &AtHub<'_>) -> BTreeMap<String, String> {
    let endpoint = at.hub.endpoint().as_str();
    let other = (endpoint != DEFAULT_ENDPOINT).then(|| endpoint.to_owned());
    let other = other.map(|endpoint| ("HF_ENDPOINT".to_owned(), endpoint));
    other.into_iter().collect()
}

/// Returns the files by which a training counts as done.
fn expected(config: &FinetuneConfig) -> Vec<String> {
    // The last commit alone has the summary; before it, the weights are those of a step, not the best ones.
    let summary = "training_summary.json".to_owned();
    let weights = "adapter_model.safetensors".to_owned();
    match (config.method, &config.eval_dataset) {
        (Method::Full, _) => vec![summary],
        (_, Some(_)) => vec![weights, summary],
        (_, None) => vec![weights],
    }
}
