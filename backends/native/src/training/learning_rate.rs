use super::options::{LrSchedulerType, TrainingOptions};
use crate::schedule::LearningRateSchedule;

/// Returns the learning rate that step `step`, from 0, of `steps` is taken with: 0 at the first where there
/// is a warm-up, which a constant one has not.
pub(super) fn learning_rate(options: &TrainingOptions, step: usize, steps: usize) -> f64 {
    let schedule = match options.lr_scheduler_type {
        LrSchedulerType::Cosine => LearningRateSchedule::Cosine,
        LrSchedulerType::Linear => LearningRateSchedule::Linear,
        LrSchedulerType::Constant => LearningRateSchedule::Constant,
        LrSchedulerType::ConstantWithWarmup => LearningRateSchedule::ConstantWithWarmup,
    };
    let warmup_steps = options.warmup.steps(steps);
    let factor = schedule.factor(step as u64, warmup_steps as u64, steps as u64);
    options.learning_rate * factor
}
