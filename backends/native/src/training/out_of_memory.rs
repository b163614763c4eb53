use super::error::TrainingError;
use super::options::TrainingOptions;
use crate::batch::Batch;
use crate::error::NativeError;

/// What was tried when memory ran out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    during: &'static str,
    tokens: usize,
    sequences: usize,
}

impl Attempt {
    pub(super) fn new(during: &'static str, batch: &Batch) -> Self {
        Self {
            during,
            tokens: batch.tokens().len(),
            sequences: batch.sequences().len(),
        }
    }
}

/// Turns a device's lack of memory into an error that says what takes less; any other stays.
pub(super) fn explain(
    error: NativeError,
    attempt: Attempt,
    options: &TrainingOptions,
) -> TrainingError {
    // The device's errors have no kinds of their own here: the driver's name for it, or its words.
    let said = error.to_string().to_lowercase();
    let is_memory = ["out of memory", "out_of_memory"]
        .iter()
        .any(|words| said.contains(words));
    if !is_memory {
        return error.into();
    }
    let Attempt {
        during,
        tokens,
        sequences,
    } = attempt;
    TrainingError::OutOfMemory {
        during,
        tokens,
        sequences,
        knobs: options.memory_knobs.clone(),
        source: error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::MemoryKnob;
    use crate::training::options::tests::options;

    #[test]
    fn what_takes_less_memory_is_said() {
        let mut options = options();
        options.memory_knobs = vec![
            MemoryKnob {
                setting: "gradient_checkpointing: true".to_owned(),
                saved_bytes: 3 << 30,
            },
            MemoryKnob {
                setting: "max_length: 1024".to_owned(),
                saved_bytes: 1 << 29,
            },
        ];
        let attempt = Attempt {
            during: "while the longest batch was tried",
            tokens: 4096,
            sequences: 2,
        };
        let device = |said: &str| NativeError::Tensor(candle_core::Error::Cuda(said.into()));
        let error = explain(device("CUDA_ERROR_OUT_OF_MEMORY"), attempt, &options).to_string();
        assert_eq!(
            error,
            "out of memory while the longest batch was tried, with 4096 tokens in 2 sequences; \
             `gradient_checkpointing: true` saves 3.0 GiB, `max_length: 1024` saves 0.5 GiB"
        );
        let error = explain(device("no kernel image"), attempt, &options).to_string();
        assert!(error.contains("no kernel image"), "{error}");
    }
}
