use std::sync::atomic::{AtomicBool, Ordering};

use shipworthy_datasets::TokenisedExample;

use super::error::TrainingError;
use super::options::TrainingOptions;
use super::out_of_memory::{Attempt, explain};
use crate::batch::Batch;
use crate::decoder::Decoder;

/// The loss on held-out examples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct HeldOut {
    /// Mean negative log likelihood of all labelled tokens, in nats.
    pub(super) loss: f64,
    /// How many there are.
    pub(super) labelled: usize,
}

/// Evaluates examples; nothing if it is asked to stop before the last of them.
pub(super) fn evaluate(
    decoder: &Decoder,
    examples: &[TokenisedExample],
    options: &TrainingOptions,
    step: usize,
    stop: &AtomicBool,
) -> Result<Option<HeldOut>, TrainingError> {
    let mut sum = 0.0;
    let mut labelled = 0;
    let mut faulty = Vec::new();
    for examples in examples.chunks(options.per_device_eval_batch_size) {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let batch = Batch::new(examples.iter().map(|example| (example, 0)));
        let loss = decoder.evaluate(&batch).map_err(|error| {
            let attempt = Attempt::new("while held-out examples were looked at", &batch);
            explain(error, attempt, options)
        })?;
        for (example, sequence) in examples.iter().zip(&loss.sequences) {
            if !sequence.nll_sum.is_finite() {
                faulty.push(example.id.clone());
            }
            sum += sequence.nll_sum;
            labelled += sequence.labelled;
        }
    }
    if !faulty.is_empty() {
        return Err(TrainingError::NotFinite {
            what: "the evaluation loss",
            step,
            ids: faulty,
        });
    }
    let loss = sum / labelled as f64;
    Ok(Some(HeldOut { loss, labelled }))
}
