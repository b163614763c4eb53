use shipworthy_backends::hub::{Hub, HubError, RepositoryId, RepositoryKind};
use shipworthy_backends::trainer::TrainError;
use shipworthy_schema::finetune::HfJobs;

use crate::remote_job::RemoteJobError;
use crate::tuning::config_file::TuningConfig;
use crate::tuning::error::TuningError;

/// The file that decides what a token's number means.
const TOKENIZER: &str = "tokenizer.json";

/// Finds the commit of the base at the Hub, and holds its tokenizer against the one that is read here.
///
/// Errors if they differ: what was counted here as one word would be learnt there as another.
pub(super) async fn settle(
    hub: &Hub,
    config: &TuningConfig,
    job: &HfJobs,
) -> Result<String, TuningError> {
    let wrong = |detail: String| TuningError::Setting {
        place: config.places.value_of("hf_jobs"),
        source: TrainError::Setting {
            key: "hf_jobs",
            detail,
        },
    };
    let remote = |error: HubError| TuningError::Remote(RemoteJobError::Hub(error));
    let repository = RepositoryId::parse(RepositoryKind::Model, &job.model).map_err(remote)?;
    let revision = job.revision.as_deref().unwrap_or("main");
    let found = hub.commit_at(&repository, revision).await;
    let commit = found.map_err(remote)?.ok_or_else(|| {
        wrong(format!(
            "the Hub has no model `{repository}` with a revision `{revision}`, or this token may not see it"
        ))
    })?;
    let files = hub.files(&repository, &commit).await.map_err(remote)?;
    let own = config.opened.model.join(TOKENIZER);
    let theirs = files.iter().find(|file| file.path == TOKENIZER);
    if let Some(theirs) = theirs
        && own.is_file()
        && !theirs.is_same_as(&own).map_err(remote)?
    {
        return Err(wrong(format!(
            "`{TOKENIZER}` of `{repository}` at the Hub is another one than `{}`: tokens would mean other words \
             there; download it anew, or name its `revision`",
            config.written.model.join(TOKENIZER).display()
        )));
    }
    Ok(commit)
}

/// Holds the base's weights here against those of `revision` at the Hub.
///
/// Errors if a file differs: merged into other weights than it was trained on, an adapter would make another model.
pub async fn check_weights(
    hub: &Hub,
    config: &TuningConfig,
    revision: &str,
) -> Result<(), TuningError> {
    let Some(job) = &config.opened.hf_jobs else {
        return Ok(());
    };
    let remote = |error: HubError| TuningError::Remote(RemoteJobError::Hub(error));
    let repository = RepositoryId::parse(RepositoryKind::Model, &job.model).map_err(remote)?;
    for file in hub.files(&repository, revision).await.map_err(remote)? {
        let own = config.opened.model.join(&file.path);
        if file.path.ends_with(".safetensors")
            && own.is_file()
            && !file.is_same_as(&own).map_err(remote)?
        {
            let detail = format!(
                "`{}` is another file than that of `{repository}` at the Hub, and what is learnt there is merged into \
                 it here; download it anew, or name its `revision`",
                config.written.model.join(&file.path).display()
            );
            return Err(TuningError::Setting {
                place: config.places.value_of("model"),
                source: TrainError::Setting {
                    key: "model",
                    detail,
                },
            });
        }
    }
    Ok(())
}
