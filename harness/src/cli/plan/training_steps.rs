use shipworthy_backends::trainer::ForecastBatch;
use shipworthy_datasets::{
    DatasetOptions, ExcessLength, ModelTokenizer, TemplateOptions, TokenisedDataset,
    TokenisedExample, pack,
};
use shipworthy_schema::finetune::{ExcessLengthStrategy, FinetuneConfig};

use crate::cli::error::Failure;

/// What a data set makes of a configuration.
pub(super) struct Steps {
    /// Conversations that are learnt from.
    pub(super) examples: u64,
    /// Tokens of all of them.
    pub(super) tokens: u64,
    /// Tokens of the longest.
    pub(super) longest: u64,
    /// Steps in one pass over them.
    pub(super) per_epoch: u64,
    /// Steps in all.
    pub(super) in_all: u64,
    /// The batch that takes most memory.
    pub(super) batch: ForecastBatch,
}

impl Steps {
    /// Reads a data set as training would, and counts.
    pub(super) fn count(
        config: &FinetuneConfig,
        vocab_size: u32,
        threads: u64,
    ) -> Result<Self, Failure> {
        let tokenizer =
            ModelTokenizer::open(&config.model, vocab_size, TemplateOptions::default())?;
        let options = DatasetOptions {
            max_length: config.max_length as usize,
            excess_length: match config.excess_length_strategy {
                ExcessLengthStrategy::Raise => ExcessLength::Raise,
                ExcessLengthStrategy::Truncate => ExcessLength::Truncate,
                ExcessLengthStrategy::Drop => ExcessLength::Drop,
            },
        };
        let data = TokenisedDataset::read(&config.dataset, &tokenizer, &options)?;
        Ok(Self::of(&data.examples, config, threads))
    }

    /// Counts steps as transformers does: what is left of a pass makes a step of its own.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of steps times a number of passes"
    )]
    fn of(examples: &[TokenisedExample], config: &FinetuneConfig, threads: u64) -> Self {
        let lengths: Vec<usize> = examples.iter().map(|one| one.tokens.len()).collect();
        // Rows of a batch, each a list of examples.
        let mut rows: Vec<Vec<usize>> = if config.packing {
            pack(&lengths, config.max_length as usize)
        } else {
            (0..lengths.len()).map(|idx| vec![idx]).collect()
        };
        let tokens_of = |row: &[usize]| row.iter().map(|&idx| lengths[idx] as u64).sum::<u64>();
        rows.sort_by_key(|row| std::cmp::Reverse(tokens_of(row)));
        let batch_size = config.per_device_train_batch_size;
        let largest = &rows[..rows.len().min(batch_size as usize)];
        let labelled = |row: &Vec<usize>| {
            let labelled = row.iter().map(|&idx| examples[idx].labelled_count() as u64);
            labelled.sum::<u64>()
        };
        let longest = lengths.iter().copied().max().unwrap_or(0) as u64;
        let batches = (rows.len() as u64).div_ceil(batch_size.into());
        let per_epoch = batches.div_ceil(config.gradient_accumulation_steps.into());
        let epochs = config.num_train_epochs.unwrap_or(3.0);
        Self {
            examples: examples.len() as u64,
            tokens: lengths.iter().map(|&length| length as u64).sum(),
            longest,
            per_epoch,
            in_all: match config.max_steps {
                Some(steps) => steps.into(),
                None => (per_epoch as f64 * epochs).ceil() as u64,
            },
            batch: ForecastBatch {
                distinct_tokens: u64::MAX,
                tokens: largest.iter().map(|row| tokens_of(row)).sum(),
                labelled_tokens: largest.iter().map(labelled).sum(),
                longest_sequence: longest,
                threads,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(more: &serde_json::Value) -> FinetuneConfig {
        let mut keys = json!({"model": "m", "dataset": "d", "output_dir": "o", "max_length": 10,
            "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2});
        let keys = keys.as_object_mut().unwrap();
        keys.extend(more.as_object().unwrap().clone());
        serde_json::from_value(json!(keys)).unwrap()
    }

    #[test]
    fn the_largest_batch_and_the_last_step_count() {
        let example = |length: usize| TokenisedExample {
            id: String::new(),
            tokens: vec![1; length],
            labelled: (0..length).map(|idx| idx > 1).collect(),
        };
        let examples = [3, 9, 4, 8, 2].map(example);
        let plain = Steps::of(&examples, &config(&json!({ "num_train_epochs": 1.5 })), 1);
        assert_eq!((plain.examples, plain.tokens, plain.longest), (5, 26, 9));
        // Three batches make two steps.
        assert_eq!((plain.per_epoch, plain.in_all), (2, 3));
        assert_eq!((plain.batch.tokens, plain.batch.labelled_tokens), (17, 13));
        let packed = Steps::of(
            &examples,
            &config(&json!({ "packing": true, "max_steps": 7 })),
            1,
        );
        assert_eq!((packed.per_epoch, packed.in_all), (1, 7));
        assert!(packed.batch.tokens >= 17, "{:?}", packed.batch);
    }
}
