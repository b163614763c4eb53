use shipworthy_models::{Family, HyperParameters};

/// What a prediction must know of a model.
#[derive(Clone, Copy, Debug)]
pub struct ForecastModel<'a> {
    /// Its family.
    pub family: Family,
    /// Its sizes.
    pub sizes: &'a HyperParameters,
    /// Bytes of a weight as it is stored: 2 for `bf16` and `f16`, 4 for `f32`.
    pub stored_bytes: u64,
}

/// What a prediction must know of the batch with most tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForecastBatch {
    /// Different tokens of the data it is part of; `u64::MAX` if they are not known.
    pub distinct_tokens: u64,
    /// Its tokens.
    pub tokens: u64,
    /// Those of them that are learnt.
    pub labelled_tokens: u64,
    /// Tokens of the longest sequence.
    pub longest_sequence: u64,
    /// Threads that compute on the processor.
    pub threads: u64,
}
