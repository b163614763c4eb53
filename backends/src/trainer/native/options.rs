//! What the native trainer calls the keys of a configuration.

use shipworthy_native::{
    LrSchedulerType as NativeScheduler, MemoryKnob, Optim as NativeOptim, TrainingLength,
    TrainingOptions, Warmup,
};
use shipworthy_schema::finetune::{FinetuneConfig, LrSchedulerType, Optim};

use crate::trainer::TrainingJob;

/// Returns how many batches a pass over the data has, and how many steps.
pub(super) fn per_epoch(job: &TrainingJob) -> (u64, u64) {
    let config = &job.config;
    let rows = job
        .data_report
        .packed_rows
        .unwrap_or(job.data_report.examples);
    let batches = rows.div_ceil(config.per_device_train_batch_size.into());
    let steps = batches.div_ceil(config.gradient_accumulation_steps.into());
    (batches, steps)
}

/// Returns all numbers; every pass ends with an evaluation and a checkpoint where the configuration
/// says nothing of them.
pub(super) fn options(job: &TrainingJob, memory_knobs: Vec<MemoryKnob>) -> TrainingOptions {
    let config = &job.config;
    let (_, steps_per_epoch) = per_epoch(job);
    let epoch = usize::try_from(steps_per_epoch)
        .unwrap_or(usize::MAX)
        .max(1);
    let FinetuneConfig { max_grad_norm, .. } = *config;
    TrainingOptions {
        learning_rate: config.learning_rate,
        lr_scheduler_type: match config.lr_scheduler_type {
            LrSchedulerType::Cosine => NativeScheduler::Cosine,
            LrSchedulerType::Linear => NativeScheduler::Linear,
            LrSchedulerType::Constant => NativeScheduler::Constant,
            LrSchedulerType::ConstantWithWarmup => NativeScheduler::ConstantWithWarmup,
        },
        warmup: match (config.warmup_steps, config.warmup_ratio) {
            (Some(steps), _) => Warmup::Steps(steps as usize),
            (None, ratio) => Warmup::Ratio(ratio.unwrap_or_default()),
        },
        weight_decay: config.weight_decay,
        max_grad_norm: (max_grad_norm > 0.0).then_some(max_grad_norm),
        optim: match config.optim {
            Optim::AdamwTorch => NativeOptim::AdamwTorch,
            Optim::Adamw8bit => NativeOptim::Adamw8bit,
        },
        length: match (config.max_steps, config.num_train_epochs) {
            (Some(steps), _) => TrainingLength::MaxSteps(steps as usize),
            (None, epochs) => TrainingLength::NumTrainEpochs(epochs.unwrap_or(1.0)),
        },
        per_device_train_batch_size: config.per_device_train_batch_size as usize,
        per_device_eval_batch_size: config.per_device_eval_batch_size as usize,
        gradient_accumulation_steps: config.gradient_accumulation_steps as usize,
        packing: config.packing.then_some(config.max_length as usize),
        shuffle: config.shuffle,
        seed: config.seed,
        logging_steps: config.logging_steps as usize,
        eval_steps: (!job.eval_data.is_empty())
            .then(|| config.eval_steps.map_or(epoch, |steps| steps as usize)),
        save_steps: Some(config.save_steps.map_or(epoch, |steps| steps as usize)),
        save_total_limit: config.save_total_limit.map(|limit| limit as usize),
        early_stopping_patience: config.early_stopping_patience.map(|n| n as usize),
        gradient_checkpointing: config.gradient_checkpointing,
        loss_chunk: config.loss_chunk as usize,
        memory_knobs,
    }
}
