use super::{
    Distributed, FinetuneConfig, HfJobs, Method, Objective, Places, ReportTo, TrainerKind,
};
use crate::yaml::YamlError;

/// Keys of low-rank adapters.
const OF_ADAPTERS: [&str; 8] = [
    "lora_r",
    "lora_alpha",
    "lora_dropout",
    "use_rslora",
    "target_modules",
    "modules_to_save",
    "bias",
    "init_adapter",
];

/// The key of weights in 4 bits.
const OF_QLORA: &str = "bnb_4bit_use_double_quant";

/// Keys of trainers that run a script.
const OF_SCRIPTS: [&str; 10] = [
    "python",
    "num_processes",
    "distributed",
    "cpu_offload",
    "report_to",
    "project",
    "run_name",
    "trackio_space_id",
    "hub_model_id",
    "hub_strategy",
];

/// Keys of things on this machine, which a job elsewhere cannot see.
const OF_THIS_MACHINE: [(&str, &str); 3] = [
    (
        "python",
        "goes with `trainer: trl`; a job runs its script with `uv run`",
    ),
    (
        "init_adapter",
        "is a directory here, which a job cannot see; train with `trainer: trl`, or leave it out",
    ),
    (
        "resume_from_checkpoint",
        "is a directory here, which a job cannot see; leave it out",
    ),
];

/// Keys of the trainer in this process.
const OF_NATIVE: [&str; 1] = ["loss_chunk"];

/// Tells whether a key means anything for what the others say.
pub(super) fn goes_with(key: &str, config: &FinetuneConfig) -> bool {
    let is_script = config.trainer.runs_script();
    let of_method = match config.method {
        Method::Qlora => true,
        Method::Lora => key != OF_QLORA,
        Method::Full => key != OF_QLORA && !OF_ADAPTERS.contains(&key),
    };
    of_method
        && match key {
            "objective" => is_script,
            "beta" => is_script && config.objective == Objective::Dpo,
            "distributed" => is_script && config.num_processes > 1,
            "cpu_offload" => {
                is_script && config.num_processes > 1 && config.distributed != Distributed::Ddp
            }
            "hub_strategy" | "hub_private_repo" => is_script && config.hub_model_id.is_some(),
            "python" => config.trainer == TrainerKind::Trl,
            key if OF_SCRIPTS.contains(&key) => is_script,
            key if OF_NATIVE.contains(&key) => !is_script,
            _ => true,
        }
}

/// Finds keys that do not go together.
pub(super) fn check(config: &FinetuneConfig, places: &Places) -> Result<(), YamlError> {
    for (one, other) in [
        ("warmup_steps", "warmup_ratio"),
        ("max_steps", "num_train_epochs"),
    ] {
        if places.has(one) && places.has(other) {
            let line = places.key(other).line;
            let message = format!("give this or `{other}` (line {line}), not both");
            return Err(places.key(one).error(message));
        }
    }
    let needs = |key: &str, message: &str| {
        if places.has(key) {
            Err(places.key(key).error(message))
        } else {
            Ok(())
        }
    };
    for key in OF_ADAPTERS {
        if !goes_with(key, config) {
            needs(
                key,
                "goes with `method: lora` and `qlora`; leave it out or change `method`",
            )?;
        }
    }
    if !goes_with(OF_QLORA, config) {
        needs(
            OF_QLORA,
            "goes with `method: qlora`; leave it out or change `method`",
        )?;
    }
    check_script_keys(config, places)?;
    check_job_keys(config, places)?;
    if config.eval_dataset.is_none() {
        for key in ["eval_steps", "early_stopping_patience"] {
            needs(
                key,
                "needs `eval_dataset`: conversations to measure the loss on",
            )?;
        }
    }
    Ok(())
}

/// Finds keys that the trainer does nothing with, and keys that lack another.
fn check_script_keys(config: &FinetuneConfig, places: &Places) -> Result<(), YamlError> {
    let needs = |keys: &[&str], message: &str| {
        let given = keys.iter().find(|key| places.has(key));
        given.map_or(Ok(()), |key| Err(places.key(key).error(message)))
    };
    if !config.trainer.runs_script() {
        if config.objective != Objective::Sft {
            let message =
                "needs `trainer: trl`: the native trainer learns replies, not preferences";
            return Err(places.key("objective").error(message));
        }
        needs(
            &OF_SCRIPTS,
            "goes with `trainer: trl`; leave it out or change `trainer`",
        )?;
        return needs(
            &["hub_private_repo", "beta"],
            "goes with `trainer: trl`; leave it out or change `trainer`",
        );
    }
    needs(
        &OF_NATIVE,
        "goes with `trainer: native`; leave it out: TRL computes the loss in chunks of its own",
    )?;
    if config.objective != Objective::Dpo {
        needs(&["beta"], "goes with `objective: dpo`; leave it out")?;
    }
    if config.num_processes == 1 {
        needs(
            &["distributed", "cpu_offload"],
            "needs `num_processes` above 1: one process shares nothing",
        )?;
    }
    if config.distributed == Distributed::Ddp {
        needs(
            &["cpu_offload"],
            "goes with `distributed: fsdp`, `zero2` and `zero3`; with `ddp` nothing is moved",
        )?;
    }
    if config.hub_model_id.is_none() {
        needs(
            &["hub_strategy", "hub_private_repo"],
            "needs `hub_model_id`: the repository to push to",
        )?;
    }
    if config.report_to != ReportTo::Trackio {
        needs(
            &["project", "run_name", "trackio_space_id"],
            "needs `report_to: trackio`",
        )?;
    }
    for (key, id) in [
        ("hub_model_id", &config.hub_model_id),
        ("trackio_space_id", &config.trackio_space_id),
    ] {
        if let Some(id) = id
            && !is_repository(id)
        {
            let message = format!("`{id}` is no repository; write it as `owner/name`");
            return Err(places.value_of(key).error(message));
        }
    }
    Ok(())
}

/// Finds what is wrong with the description of a job, and what it lacks.
fn check_job_keys(config: &FinetuneConfig, places: &Places) -> Result<(), YamlError> {
    let wrong = |message: &str| Err(places.value_of("hf_jobs").error(message));
    if config.trainer != TrainerKind::HfJobs {
        return match &config.hf_jobs {
            Some(_) => wrong("goes with `trainer: hf_jobs`; leave it out or change `trainer`"),
            None => Ok(()),
        };
    }
    let Some(job) = &config.hf_jobs else {
        let message = "needs the section `hf_jobs`, with `model` and `dataset_repo`: where the job finds the model \
                       and where its data goes";
        return Err(places.value_of("trainer").error(message));
    };
    if config.hub_model_id.is_none() {
        let message = "needs `hub_model_id`: a job's result is what it pushes there";
        return Err(places.value_of("trainer").error(message));
    }
    for (key, message) in OF_THIS_MACHINE {
        if places.has(key) {
            return Err(places.key(key).error(message));
        }
    }
    let HfJobs {
        model,
        dataset_repo,
        max_cost_usd,
        secrets,
        ..
    } = job;
    for (key, id) in [("model", model), ("dataset_repo", dataset_repo)] {
        if !is_repository(id) {
            return wrong(&format!(
                "`{key}`: `{id}` is no repository; write it as `owner/name`"
            ));
        }
    }
    if max_cost_usd.is_some_and(|most| !most.is_finite() || most <= 0.0) {
        return wrong("`max_cost_usd` must be above 0");
    }
    if secrets
        .iter()
        .any(|name| name.is_empty() || name.contains('='))
    {
        // What is written there may be the secret itself: it is not repeated.
        return wrong("`secrets` are names of variables, without their values");
    }
    Ok(())
}

/// Tells whether a text is `owner/name` in the letters that the Hub allows.
fn is_repository(id: &str) -> bool {
    let is_part = |part: &str| {
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !part.is_empty() && part.len() <= 96 && part.chars().all(letter) && part != ".."
    };
    id.split_once('/')
        .is_some_and(|(owner, name)| is_part(owner) && is_part(name))
}
