use serde::{Deserialize, Serialize};

use super::error::TrainingError;

/// How a model is trained: every number resolved, none left to a default.
///
/// Names are those of transformers' `TrainingArguments` where it has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingOptions {
    /// The highest learning rate of the schedule.
    pub learning_rate: f64,
    /// How the learning rate goes on after the warm-up.
    pub lr_scheduler_type: LrSchedulerType,
    /// How long the learning rate rises from 0.
    pub warmup: Warmup,
    /// Share of a weight, times the learning rate, that is taken from it at each step.
    pub weight_decay: f64,
    /// The norm that gradients are scaled down to; none leaves them as they are.
    pub max_grad_norm: Option<f64>,
    /// What changes the weights.
    pub optim: Optim,
    /// How long training goes on.
    pub length: TrainingLength,
    /// Sequences of a batch, or rows of packed ones.
    pub per_device_train_batch_size: usize,
    /// Sequences of a batch while evaluating.
    pub per_device_eval_batch_size: usize,
    /// Batches of a step; the split changes nothing but memory and time.
    pub gradient_accumulation_steps: usize,
    /// Tokens of a row that short examples are put together in; none gives every example its own.
    pub packing: Option<usize>,
    /// Whether each epoch has an order of its own; else it is the data's.
    pub shuffle: bool,
    /// The root of all random numbers: orders and dropout.
    pub seed: u64,
    /// Steps between two lines of the log.
    pub logging_steps: usize,
    /// Steps between two evaluations; none evaluates never.
    pub eval_steps: Option<usize>,
    /// Steps between two checkpoints; none saves the last step only, and the best.
    pub save_steps: Option<usize>,
    /// How many checkpoints are kept; the best and the latest always are.
    pub save_total_limit: Option<usize>,
    /// Evaluations in a row without a better one, after which training ends.
    pub early_stopping_patience: Option<usize>,
    /// Whether activations are computed twice instead of kept.
    pub gradient_checkpointing: bool,
    /// Positions whose logits exist at once.
    pub loss_chunk: usize,
    /// What running out of memory is answered with: settings that take less, largest saving first.
    #[serde(skip)]
    pub memory_knobs: Vec<MemoryKnob>,
}

/// How a learning rate goes on after its warm-up, as transformers names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LrSchedulerType {
    /// Half a cosine down to 0 at the last step.
    Cosine,
    /// A straight line down to 0 at the last step.
    Linear,
    /// As it is, without a warm-up.
    Constant,
    /// As it is.
    ConstantWithWarmup,
}

/// How long a learning rate rises.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Warmup {
    /// For so many steps.
    Steps(usize),
    /// For a share of all steps, rounded up; 0 to 1.
    Ratio(f64),
}

impl Warmup {
    /// Returns for how many of `steps` steps the learning rate rises.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a number of steps is one"
    )]
    pub fn steps(self, steps: usize) -> usize {
        match self {
            Self::Steps(steps) => steps,
            Self::Ratio(ratio) => (steps as f64 * ratio).ceil() as usize,
        }
    }
}

/// What changes the weights, as transformers names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optim {
    /// `AdamW` with states in `f32`.
    AdamwTorch,
    /// `AdamW` with states in 8 bits, by blocks.
    #[serde(rename = "adamw_8bit")]
    Adamw8bit,
}

/// How long training goes on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainingLength {
    /// So many times through the data; need not be whole.
    NumTrainEpochs(f64),
    /// So many steps.
    MaxSteps(usize),
}

/// A setting that takes less memory, and how much less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryKnob {
    /// What to set: `gradient_checkpointing: true`.
    pub setting: String,
    /// Bytes saved at the peak.
    pub saved_bytes: u64,
}

impl TrainingOptions {
    /// Errors with the first field whose value nothing can be trained with.
    pub(crate) fn check(&self) -> Result<(), TrainingError> {
        let at_least_one = [
            (
                "per_device_train_batch_size",
                Some(self.per_device_train_batch_size),
            ),
            (
                "per_device_eval_batch_size",
                Some(self.per_device_eval_batch_size),
            ),
            (
                "gradient_accumulation_steps",
                Some(self.gradient_accumulation_steps),
            ),
            ("logging_steps", Some(self.logging_steps)),
            ("loss_chunk", Some(self.loss_chunk)),
            ("packing", self.packing),
            ("eval_steps", self.eval_steps),
            ("save_steps", self.save_steps),
            ("save_total_limit", self.save_total_limit),
            ("early_stopping_patience", self.early_stopping_patience),
        ];
        for (field, value) in at_least_one {
            if value == Some(0) {
                return Err(option(field, 0.0, "at least 1"));
            }
        }
        let not_negative = [
            ("learning_rate", self.learning_rate),
            ("weight_decay", self.weight_decay),
            ("max_grad_norm", self.max_grad_norm.unwrap_or(1.0)),
        ];
        for (field, value) in not_negative {
            if !value.is_finite() || value < 0.0 {
                return Err(option(field, value, "a finite number that is not negative"));
            }
        }
        if self.max_grad_norm == Some(0.0) {
            return Err(option("max_grad_norm", 0.0, "more than 0, or none"));
        }
        if let Warmup::Ratio(ratio) = self.warmup
            && !(0.0..=1.0).contains(&ratio)
        {
            return Err(option("warmup_ratio", ratio, "0 to 1"));
        }
        match self.length {
            TrainingLength::NumTrainEpochs(epochs) if !(epochs > 0.0 && epochs < 1e6) => Err(
                option("num_train_epochs", epochs, "more than 0, below a million"),
            ),
            TrainingLength::MaxSteps(0) => Err(option("max_steps", 0.0, "at least 1")),
            _ => Ok(()),
        }
    }
}

fn option(field: &'static str, found: f64, expected: &'static str) -> TrainingError {
    TrainingError::Option {
        field,
        found,
        expected,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use test_case::test_case;

    use super::*;

    /// Options under which nothing special happens.
    pub(crate) fn options() -> TrainingOptions {
        TrainingOptions {
            learning_rate: 1e-2,
            lr_scheduler_type: LrSchedulerType::Cosine,
            warmup: Warmup::Ratio(0.1),
            weight_decay: 0.01,
            max_grad_norm: Some(1.0),
            optim: Optim::AdamwTorch,
            length: TrainingLength::NumTrainEpochs(3.0),
            per_device_train_batch_size: 1,
            per_device_eval_batch_size: 1,
            gradient_accumulation_steps: 1,
            packing: None,
            shuffle: false,
            seed: 42,
            logging_steps: 1,
            eval_steps: None,
            save_steps: None,
            save_total_limit: None,
            early_stopping_patience: None,
            gradient_checkpointing: false,
            loss_chunk: 128,
            memory_knobs: Vec::new(),
        }
    }

    #[test_case(|o| o.learning_rate = f64::NAN, "`learning_rate` is NaN, must be a finite number that is not negative"; "nan")]
    #[test_case(|o| o.weight_decay = -0.1, "`weight_decay` is -0.1, must be"; "negative")]
    #[test_case(|o| o.logging_steps = 0, "`logging_steps` is 0, must be at least 1"; "zero")]
    #[test_case(|o| o.packing = Some(0), "`packing` is 0"; "no row")]
    #[test_case(|o| o.warmup = Warmup::Ratio(1.5), "`warmup_ratio` is 1.5, must be 0 to 1"; "ratio")]
    #[test_case(|o| o.length = TrainingLength::NumTrainEpochs(0.0), "`num_train_epochs` is 0"; "no epoch")]
    #[test_case(|o| o.length = TrainingLength::NumTrainEpochs(f64::INFINITY), "`num_train_epochs` is inf"; "for ever")]
    #[test_case(|o| o.length = TrainingLength::MaxSteps(0), "`max_steps` is 0"; "no step")]
    fn what_nothing_can_be_trained_with_is_named(change: fn(&mut TrainingOptions), expected: &str) {
        let mut options = options();
        options.check().unwrap();
        change(&mut options);
        let error = options.check().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn a_share_of_steps_is_rounded_up() {
        assert_eq!(Warmup::Ratio(0.1).steps(11), 2);
        assert_eq!(Warmup::Ratio(0.0).steps(11), 0);
        assert_eq!(Warmup::Steps(5).steps(3), 5);
    }
}
