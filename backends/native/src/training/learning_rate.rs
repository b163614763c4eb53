use std::f64::consts::PI;

use super::options::{LrSchedulerType, TrainingOptions};

/// Returns the learning rate that step `step`, from 0, of `steps` is taken with, as transformers'
/// schedulers have it: 0 at the first step where there is a warm-up.
pub(super) fn learning_rate(options: &TrainingOptions, step: usize, steps: usize) -> f64 {
    let warmup = options.warmup.steps(steps);
    let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
    let factor = if step < warmup {
        share(step, warmup)
    } else {
        let (after, left) = (step - warmup, steps.saturating_sub(warmup));
        match options.lr_scheduler_type {
            LrSchedulerType::Constant => 1.0,
            LrSchedulerType::Linear => share(steps.saturating_sub(step), left),
            LrSchedulerType::Cosine => {
                let turn = PI * 0.5 * 2.0 * share(after, left);
                (0.5 * (1.0 + turn.cos())).max(0.0)
            }
        }
    };
    options.learning_rate * factor
}
