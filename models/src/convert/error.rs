use thiserror::Error;

/// Why a tensor cannot be converted.
#[derive(Debug, Error)]
pub enum ConvertProblem {
    /// Not one of the family's.
    #[error("it is not one of the tensors of the {family} family; is it another kind of model?")]
    Unknown {
        /// The family.
        family: &'static str,
    },
    /// Not floating-point numbers.
    #[error("it is {dtype}; F32, BF16 and F16 can be converted")]
    Format {
        /// Its number format.
        dtype: safetensors::Dtype,
    },
    /// More or fewer dimensions.
    #[error("its shape is {found:?}, expected one or two dimensions")]
    Dimensions {
        /// Its shape.
        found: Vec<usize>,
    },
    /// Rows that are not heads.
    #[error("its {rows} rows are not {heads} heads of an even number of rows")]
    Heads {
        /// Its rows.
        rows: usize,
        /// Heads that `config.json` says.
        heads: u32,
    },
    /// Fewer or more rows than there are tokens.
    #[error(
        "it has {rows} rows and the tokenizer {tokens} tokens; `vocab_size` in `config.json` must be the \
         number of rows, and the tokenizer must be the model's own"
    )]
    Vocabulary {
        /// Its rows.
        rows: usize,
        /// Tokens of the vocabulary.
        tokens: usize,
    },
    /// The layer is none of the model's.
    #[error("`num_hidden_layers` in `config.json` is {layers}")]
    Layer {
        /// Layers of the model.
        layers: u32,
    },
    /// Not in the checkpoint.
    #[error("the model needs it, and it is not in the checkpoint")]
    Missing,
    /// Too large a number.
    #[error("row {row} has a value that {to} cannot hold; write bf16, f32 or a quantised type")]
    Overflow {
        /// The row.
        row: usize,
        /// The type.
        to: &'static str,
    },
}
