use super::question::{MemoryQuestion, OptimizerStates, Trained};
use super::{Memory, MemoryPlan};

/// A setting that takes less memory, and how much less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knob {
    /// The configuration's key.
    pub key: &'static str,
    /// What to set it to.
    pub value: String,
    /// Bytes saved at the peak.
    pub saved_bytes: u64,
}

impl Knob {
    /// Returns the settings that take less of a memory, each by itself, the one that saves most first.
    pub fn all(question: &MemoryQuestion<'_>, memory: Memory) -> Vec<Self> {
        let peak = |question: &MemoryQuestion<'_>| MemoryPlan::predict(question).peak_bytes(memory);
        let now = peak(question);
        let mut knobs: Vec<Self> = changes(question)
            .into_iter()
            .map(|(key, value, changed)| Self {
                key,
                value,
                saved_bytes: now.saturating_sub(peak(&changed)),
            })
            .filter(|knob| knob.saved_bytes > 0)
            .collect();
        knobs.sort_by_key(|knob| std::cmp::Reverse(knob.saved_bytes));
        knobs
    }
}

/// Returns every change that may help: key, value and the question as it is then.
fn changes<'a>(question: &MemoryQuestion<'a>) -> Vec<(&'static str, String, MemoryQuestion<'a>)> {
    let now = *question;
    let mut changes = Vec::new();
    if !now.checkpointing {
        let changed = MemoryQuestion {
            checkpointing: true,
            ..now
        };
        changes.push(("gradient_checkpointing", "true".to_owned(), changed));
    }
    if now.batch_size > 1 {
        let half = now.batch_size / 2;
        let part = |tokens: u64| tokens.saturating_mul(half) / now.batch_size;
        let changed = MemoryQuestion {
            batch_size: half,
            batch_tokens: part(now.batch_tokens),
            labelled_tokens: part(now.labelled_tokens),
            ..now
        };
        changes.push(("per_device_train_batch_size", half.to_string(), changed));
    }
    if now.sequence_tokens > 1 {
        let half = now.sequence_tokens / 2;
        let changed = MemoryQuestion {
            sequence_tokens: half,
            batch_tokens: now.batch_tokens / 2,
            labelled_tokens: now.labelled_tokens / 2,
            ..now
        };
        changes.push(("max_length", half.to_string(), changed));
    }
    if now.nf4.is_none() && matches!(now.trained, Trained::Lora { .. }) {
        let changed = MemoryQuestion {
            nf4: Some(true),
            ..now
        };
        changes.push(("method", "qlora".to_owned(), changed));
    }
    if matches!(now.trained, Trained::Full) {
        let changed = MemoryQuestion {
            trained: Trained::Lora {
                r: 64,
                target_modules: None,
                modules_to_save: &[],
            },
            ..now
        };
        changes.push(("method", "lora".to_owned(), changed));
    }
    if now.optimizer == OptimizerStates::F32 {
        let changed = MemoryQuestion {
            optimizer: OptimizerStates::EightBit,
            ..now
        };
        changes.push(("optim", "adamw_8bit".to_owned(), changed));
    }
    if let Trained::Lora {
        r,
        target_modules,
        modules_to_save,
    } = now.trained
        && r > 1
    {
        let half = r / 2;
        let trained = Trained::Lora {
            r: half,
            target_modules,
            modules_to_save,
        };
        changes.push((
            "lora_r",
            half.to_string(),
            MemoryQuestion { trained, ..now },
        ));
    }
    if now.loss_chunk > 1 {
        let half = now.loss_chunk / 2;
        let changed = MemoryQuestion {
            loss_chunk: half,
            ..now
        };
        changes.push(("loss_chunk", half.to_string(), changed));
    }
    changes
}
