use std::f64::consts::PI;

/// How the learning rate goes from step to step, after a warm-up from 0.
///
/// The values are those of transformers' `get_scheduler` under the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LearningRateSchedule {
    /// Down to 0 along half a cosine: slowly, fast, slowly.
    Cosine,
    /// Down to 0 along a line.
    Linear,
    /// The same all the time, warm-up or not.
    Constant,
    /// The same after the warm-up.
    ConstantWithWarmup,
}

impl LearningRateSchedule {
    /// Returns what the full learning rate is multiplied by at a step.
    ///
    /// `step`: from 0; with a warm-up the first step's factor is 0. From `total` on it stays where the
    /// schedule ends.
    pub fn factor(self, step: u64, warmup_steps: u64, total: u64) -> f64 {
        if self == Self::Constant {
            return 1.0;
        }
        if step < warmup_steps {
            return step as f64 / warmup_steps as f64;
        }
        let decay_steps = total.saturating_sub(warmup_steps).max(1) as f64;
        match self {
            Self::Constant | Self::ConstantWithWarmup => 1.0,
            Self::Linear => total.saturating_sub(step) as f64 / decay_steps,
            Self::Cosine => {
                // Past the end transformers' cosine would rise again.
                let progress = ((step - warmup_steps) as f64 / decay_steps).min(1.0);
                (0.5 * (1.0 + (PI * progress).cos())).max(0.0)
            }
        }
    }
}
