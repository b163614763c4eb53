//! A configuration in the words of TRL, PEFT, bitsandbytes and accelerate.

use serde_json::{Map, Value, json};
use shipworthy_schema::finetune::{
    DeviceChoice, Distributed, FinetuneConfig, LrSchedulerType, Method, Objective, ReportTo,
};

use super::script::{ScriptData, ScriptPlace, ScriptResume};

/// Returns everything that one run's script has other than another's.
pub(super) fn settings(config: &FinetuneConfig, place: &ScriptPlace) -> Value {
    let is_adapter = config.method != Method::Full;
    json!({
        "objective": config.objective,
        "model": place.model,
        "revision": place.model_revision,
        "dataset": data(&place.dataset),
        "eval_dataset": place.eval_dataset.as_ref().map(data),
        "output_dir": place.output_dir,
        "init_adapter": place.init_adapter,
        "resume_from_checkpoint": match &place.resume {
            ScriptResume::Anew => Value::Null,
            ScriptResume::Latest => json!("latest"),
            ScriptResume::Checkpoint(path) => json!(path),
        },
        "device": match config.device {
            DeviceChoice::Auto => "auto",
            DeviceChoice::Cpu => "cpu",
            DeviceChoice::Cuda => "cuda",
        },
        "dtype": config.dtype,
        "max_length": config.max_length,
        "excess_length_strategy": config.excess_length_strategy,
        "early_stopping_patience": config.early_stopping_patience,
        "lora": is_adapter.then(|| lora(config)),
        "quantisation": (config.method == Method::Qlora).then(|| json!({
            "load_in_4bit": true,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": config.bnb_4bit_use_double_quant,
            "is_sharded": config.num_processes > 1
                && matches!(config.distributed, Distributed::Fsdp | Distributed::Zero3),
        })),
        "accelerate": (config.num_processes > 1).then(|| accelerate(config)),
        "arguments": arguments(config),
    })
}

fn data(data: &ScriptData) -> Value {
    match data {
        ScriptData::File { path, sha256 } => json!({ "path": path, "sha256": sha256 }),
        ScriptData::Hub {
            repository,
            path,
            revision,
            sha256,
        } => json!({ "repo": repository, "path": path, "revision": revision, "sha256": sha256 }),
    }
}

/// PEFT's `LoraConfig`.
fn lora(config: &FinetuneConfig) -> Value {
    let modules = (!config.modules_to_save.is_empty()).then_some(&config.modules_to_save);
    json!({
        "r": config.lora_r,
        "lora_alpha": number(config.lora_alpha),
        "lora_dropout": config.lora_dropout,
        "use_rslora": config.use_rslora,
        "target_modules": config.target_modules,
        "modules_to_save": modules,
        "bias": config.bias,
    })
}

/// What `accelerate launch` reads.
fn accelerate(config: &FinetuneConfig) -> Value {
    let mut keys = Map::from_iter([
        ("compute_environment".to_owned(), json!("LOCAL_MACHINE")),
        ("distributed_type".to_owned(), json!("MULTI_GPU")),
        ("num_processes".to_owned(), json!(config.num_processes)),
        ("num_machines".to_owned(), json!(1)),
        ("machine_rank".to_owned(), json!(0)),
        // The trainer's own arguments say what is computed in.
        ("mixed_precision".to_owned(), json!("no")),
        // With true, accelerate would start one process and leave the rest to MPI; processes without a card
        // find that out for themselves.
        ("use_cpu".to_owned(), json!(false)),
    ]);
    let stage = match config.distributed {
        Distributed::Ddp => return Value::Object(keys),
        Distributed::Fsdp => {
            keys.insert("distributed_type".to_owned(), json!("FSDP"));
            let fsdp = json!({
                "fsdp_version": 2,
                "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
                "fsdp_reshard_after_forward": true,
                "fsdp_state_dict_type": "FULL_STATE_DICT",
                "fsdp_offload_params": config.cpu_offload,
                "fsdp_cpu_ram_efficient_loading": false,
                "fsdp_activation_checkpointing": false,
            });
            keys.insert("fsdp_config".to_owned(), fsdp);
            return Value::Object(keys);
        }
        Distributed::Zero2 => 2,
        Distributed::Zero3 => 3,
    };
    let offload = if config.cpu_offload { "cpu" } else { "none" };
    let deepspeed = json!({
        "zero_stage": stage,
        "gradient_accumulation_steps": config.gradient_accumulation_steps,
        "gradient_clipping": config.max_grad_norm,
        "offload_optimizer_device": offload,
        "offload_param_device": if stage == 3 { offload } else { "none" },
        "zero3_init_flag": stage == 3,
        "zero3_save_16bit_model": stage == 3,
    });
    keys.insert("distributed_type".to_owned(), json!("DEEPSPEED"));
    keys.insert("deepspeed_config".to_owned(), deepspeed);
    Value::Object(keys)
}

/// `SFTConfig` or `DPOConfig`.
fn arguments(config: &FinetuneConfig) -> Value {
    let mut keys = Map::new();
    let mut put = |key: &str, value: Value| {
        keys.insert(key.to_owned(), value);
    };
    put("max_length", json!(config.max_length));
    match config.objective {
        Objective::Sft => put("packing", json!(false)),
        Objective::Dpo => {
            put("beta", json!(config.beta));
            put("loss_type", json!(["sigmoid"]));
        }
    }
    match (config.max_steps, config.num_train_epochs) {
        (Some(steps), _) => put("max_steps", json!(steps)),
        (None, epochs) => put("num_train_epochs", json!(number(epochs.unwrap_or(1.0)))),
    }
    put(
        "per_device_train_batch_size",
        json!(config.per_device_train_batch_size),
    );
    put(
        "per_device_eval_batch_size",
        json!(config.per_device_eval_batch_size),
    );
    put(
        "gradient_accumulation_steps",
        json!(config.gradient_accumulation_steps),
    );
    put(
        "activation_checkpointing",
        json!(config.gradient_checkpointing),
    );
    put("learning_rate", json!(config.learning_rate));
    put(
        "lr_scheduler_type",
        json!(match config.lr_scheduler_type {
            LrSchedulerType::Cosine => "cosine",
            LrSchedulerType::Linear => "linear",
            LrSchedulerType::Constant => "constant",
            LrSchedulerType::ConstantWithWarmup => "constant_with_warmup",
        }),
    );
    // A number below 1 is a share.
    put(
        "warmup_steps",
        match (config.warmup_steps, config.warmup_ratio) {
            (Some(steps), _) => json!(steps),
            (None, ratio) => json!(number(ratio.unwrap_or(0.0))),
        },
    );
    put("optim", json!(config.optim));
    put("weight_decay", json!(number(config.weight_decay)));
    put("max_grad_norm", json!(number(config.max_grad_norm)));
    let order = if config.shuffle {
        "random"
    } else {
        "sequential"
    };
    put("train_sampling_strategy", json!(order));
    put("seed", json!(config.seed));
    put("data_seed", json!(config.seed));
    put("logging_steps", json!(config.logging_steps));
    put("logging_nan_inf_filter", json!(false));
    put("disable_tqdm", json!(true));
    put_checkpoints(&mut put, config);
    put_destinations(&mut put, config);
    Value::Object(keys)
}

fn put_checkpoints(put: &mut dyn FnMut(&str, Value), config: &FinetuneConfig) {
    let has_eval = config.eval_dataset.is_some();
    let save_steps = config.save_steps.or(config.eval_steps.filter(|_| has_eval));
    match save_steps {
        Some(steps) => {
            put("save_strategy", json!("steps"));
            put("save_steps", json!(steps));
        }
        None => put("save_strategy", json!("epoch")),
    }
    put("save_total_limit", json!(config.save_total_limit));
    if !has_eval {
        put("eval_strategy", json!("no"));
        return;
    }
    match config.eval_steps {
        Some(steps) => {
            put("eval_strategy", json!("steps"));
            put("eval_steps", json!(steps));
        }
        None => put("eval_strategy", json!("epoch")),
    }
    put("load_best_model_at_end", json!(true));
    put("metric_for_best_model", json!("eval_loss"));
    put("greater_is_better", json!(false));
}

fn put_destinations(put: &mut dyn FnMut(&str, Value), config: &FinetuneConfig) {
    match config.report_to {
        ReportTo::None => put("report_to", json!("none")),
        ReportTo::Trackio => {
            put("report_to", json!("trackio"));
            put(
                "project",
                json!(config.project.as_deref().unwrap_or("shipworthy")),
            );
            let name = config.run_name.as_deref().unwrap_or("finetune");
            put("run_name", json!(name));
            put("trackio_space_id", json!(config.trackio_space_id));
        }
    }
    if let Some(repository) = &config.hub_model_id {
        put("push_to_hub", json!(true));
        put("hub_model_id", json!(repository));
        put("hub_strategy", json!(config.hub_strategy));
        put("hub_private_repo", json!(config.hub_private_repo));
    }
}

/// Returns a number as people write it: without a point where it is whole.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the number is whole and small"
)]
fn number(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        json!(number as i64)
    } else {
        json!(number)
    }
}
