use std::io::BufRead as _;

use shipworthy_schema::finetune::FinetuneConfig;

use crate::cli::error::{Failure, Kind};

/// How many steps a data set makes.
pub(super) struct Steps {
    /// Conversations in the file.
    pub(super) examples: u64,
    /// Steps in one pass over them.
    pub(super) per_epoch: u64,
    /// Steps in all.
    pub(super) steps: u64,
}

impl Steps {
    /// Counts a file's conversations, one a line.
    pub(super) fn count(config: &FinetuneConfig) -> Result<Self, Failure> {
        let unreadable = |error: std::io::Error| {
            let path = config.dataset.display();
            Failure::new(Kind::Usage, format!("cannot read `{path}`: {error}"))
        };
        let file = std::fs::File::open(&config.dataset).map_err(unreadable)?;
        let mut examples = 0;
        for line in std::io::BufReader::new(file).split(b'\n') {
            let line = line.map_err(unreadable)?;
            examples += u64::from(!line.trim_ascii().is_empty());
        }
        Ok(Self::of(examples, config))
    }

    /// Returns the steps of so many examples, each a row of its own, as transformers counts them.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of steps times a number of passes"
    )]
    fn of(examples: u64, config: &FinetuneConfig) -> Self {
        let batches = examples.div_ceil(config.per_device_train_batch_size.into());
        let per_epoch = batches.div_ceil(config.gradient_accumulation_steps.into());
        let epochs = config.num_train_epochs.unwrap_or(3.0);
        let steps = match config.max_steps {
            Some(steps) => steps.into(),
            None => (per_epoch as f64 * epochs).ceil() as u64,
        };
        Self {
            examples,
            per_epoch,
            steps,
        }
    }
}
