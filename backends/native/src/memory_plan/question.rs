use shipworthy_models::{Family, HyperParameters};

/// What the memory of a training run depends on.
#[derive(Clone, Copy, Debug)]
pub struct MemoryQuestion<'a> {
    /// The model's family.
    pub family: Family,
    /// The model's sizes.
    pub model: &'a HyperParameters,
    /// Bytes of a weight as the checkpoint stores it: 2 for `bf16` and `f16`, 4 for `f32`.
    pub stored_bytes: u64,
    /// Where it is computed.
    pub place: Place,
    /// Whether frozen projections are quantised to NF4; none if not, else whether their scales are
    /// quantised too.
    pub nf4: Option<bool>,
    /// What is trained.
    pub trained: Trained<'a>,
    /// Sequences of a batch.
    pub batch_size: u64,
    /// Different tokens of the data; `u64::MAX` if they are not known.
    pub distinct_tokens: u64,
    /// Tokens of the largest batch.
    pub batch_tokens: u64,
    /// How many of a batch's tokens are learnt, at most.
    pub labelled_tokens: u64,
    /// Tokens of the longest sequence.
    pub sequence_tokens: u64,
    /// Whether layers are computed again for their gradients, instead of kept.
    pub checkpointing: bool,
    /// Tokens whose logits exist at a time; 0 lets the decoder choose.
    pub loss_chunk: u64,
    /// What the optimiser remembers.
    pub optimizer: OptimizerStates,
    /// Threads that compute on the processor.
    pub threads: u64,
}

/// Where a model is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the processor, in `f32`; frozen weights are read from their files.
    Cpu,
    /// On a CUDA card, in `bf16`; frozen weights are copied there.
    Cuda,
}

/// What is trained.
#[derive(Clone, Copy, Debug)]
pub enum Trained<'a> {
    /// Low-rank changes of projections.
    Lora {
        /// The rank.
        r: u64,
        /// Names of the projections (`q_proj`); none for all of them.
        target_modules: Option<&'a [String]>,
        /// Names of the modules that are trained whole (`lm_head`).
        modules_to_save: &'a [String],
    },
    /// Every weight.
    Full,
}

/// What an optimiser remembers of each trained value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptimizerStates {
    /// Two moments in 32 bits.
    F32,
    /// Two moments in 8 bits, with a scale for every 256.
    EightBit,
    /// Nothing.
    Without,
}

impl OptimizerStates {
    /// Returns the bytes for a number of values.
    pub(super) fn bytes(self, values: u64) -> u64 {
        match self {
            Self::F32 => values.saturating_mul(8),
            Self::EightBit => {
                let scales = values.div_ceil(256).saturating_mul(8);
                values.saturating_mul(2).saturating_add(scales)
            }
            Self::Without => 0,
        }
    }
}
