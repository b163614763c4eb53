//! What training takes of memory, known from the configuration and the model's sizes alone.

use shipworthy_native::memory_plan::{
    Knob, Memory, MemoryPlan, MemoryQuestion, OptimizerStates, PROJECTIONS, Phase, Place, Trained,
    trainable_values, values,
};
use shipworthy_schema::finetune::{FinetuneConfig, Method, Optim, TargetModules};
use shipworthy_schema::{ForecastDevice, ForecastKnob, ForecastPart, MemoryForecast};

use super::{ForecastBatch, ForecastModel, TrainError};

/// Modules that are trained whole if they are asked for.
const WHOLE: [&str; 2] = ["embed_tokens", "lm_head"];

/// Predicts the memory that training takes.
///
/// Errors if `target_modules` names what no model has, and with [`TrainError::NotBuilt`] if this build
/// does not train itself.
pub fn forecast_memory(
    config: &FinetuneConfig,
    model: &ForecastModel<'_>,
    batch: &ForecastBatch,
    device: ForecastDevice,
) -> Result<MemoryForecast, TrainError> {
    check_targets(&config.target_modules)?;
    let question = question(config, model, batch, device);
    let plan = MemoryPlan::predict(&question);
    let memory = match device {
        ForecastDevice::Cpu => Memory::Host,
        ForecastDevice::Cuda => Memory::Card,
    };
    let parts = plan.parts.iter().map(|part| ForecastPart {
        part: part.name.to_owned(),
        bytes: part.bytes,
        is_on_host: part.memory == Memory::Host && memory == Memory::Card,
        is_mapped: part.is_mapped,
        phase: phase_name(part.phase).to_owned(),
    });
    let knobs = Knob::all(&question, memory);
    let knobs = knobs.into_iter().map(|knob| ForecastKnob {
        key: knob.key.to_owned(),
        value: knob.value,
        saved_bytes: knob.saved_bytes,
    });
    Ok(MemoryForecast {
        device,
        parts: parts.collect(),
        peak_bytes: plan.peak_bytes(memory),
        host_peak_bytes: plan.peak_bytes(Memory::Host),
        mapped_bytes: plan.mapped_bytes(Memory::Host),
        knobs: knobs.collect(),
    })
}

/// Returns how many values are trained, and how many there are in all, those added among them.
pub fn forecast_values(
    config: &FinetuneConfig,
    model: &ForecastModel<'_>,
) -> Result<(u64, u64), TrainError> {
    check_targets(&config.target_modules)?;
    let batch = ForecastBatch::default();
    let question = question(config, model, &batch, ForecastDevice::Cpu);
    let trained = trainable_values(&question);
    let all = values(model.family, model.sizes);
    let added = match config.method {
        Method::Full => 0,
        Method::Lora | Method::Qlora => trained,
    };
    Ok((trained, all.saturating_add(added)))
}

fn question<'a>(
    config: &'a FinetuneConfig,
    model: &ForecastModel<'a>,
    batch: &ForecastBatch,
    device: ForecastDevice,
) -> MemoryQuestion<'a> {
    let lora = Trained::Lora {
        r: config.lora_r.into(),
        target_modules: match &config.target_modules {
            TargetModules::AllLinear => None,
            TargetModules::Listed(names) => Some(names),
        },
        modules_to_save: &config.modules_to_save,
    };
    MemoryQuestion {
        family: model.family,
        model: model.sizes,
        stored_bytes: model.stored_bytes,
        place: match device {
            ForecastDevice::Cpu => Place::Cpu,
            ForecastDevice::Cuda => Place::Cuda,
        },
        nf4: (config.method == Method::Qlora).then_some(config.bnb_4bit_use_double_quant),
        trained: match config.method {
            Method::Full => Trained::Full,
            Method::Lora | Method::Qlora => lora,
        },
        batch_size: config.per_device_train_batch_size.into(),
        distinct_tokens: batch.distinct_tokens,
        batch_tokens: batch.tokens,
        labelled_tokens: batch.labelled_tokens,
        sequence_tokens: batch.longest_sequence,
        checkpointing: config.gradient_checkpointing,
        loss_chunk: config.loss_chunk.into(),
        optimizer: match config.optim {
            Optim::AdamwTorch => OptimizerStates::F32,
            Optim::Adamw8bit => OptimizerStates::EightBit,
        },
        threads: batch.threads,
    }
}

fn check_targets(targets: &TargetModules) -> Result<(), TrainError> {
    let TargetModules::Listed(names) = targets else {
        return Ok(());
    };
    let last = |name: &String| name.rsplit('.').next().unwrap_or_default().to_owned();
    let unknown = names.iter().find(|name| {
        !PROJECTIONS.contains(&last(name).as_str()) && !WHOLE.contains(&last(name).as_str())
    });
    match unknown {
        None => Ok(()),
        Some(name) => Err(TrainError::Setting {
            key: "target_modules",
            detail: format!(
                "`target_modules` names `{name}`, which no module is called; there are {}",
                PROJECTIONS.join(", ")
            ),
        }),
    }
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Throughout => "throughout",
        Phase::Pass => "pass",
        Phase::Loss => "loss",
        Phase::Layer => "layer",
        Phase::Update => "update",
    }
}
