use thiserror::Error;

/// Why an adapter cannot be written as a file of its own.
#[derive(Debug, Error)]
pub enum LoraProblem {
    /// A type that such files do not have.
    #[error("a LoRA file cannot be {found}; it can be f16, bf16 or f32")]
    Type {
        /// The type asked for.
        found: &'static str,
    },
    /// `DoRA`.
    #[error(
        "`{module}` is changed by DoRA, which normalises the changed weight; llama.cpp adds low-rank \
         products only"
    )]
    Dora {
        /// The module.
        module: String,
    },
    /// A bias beside A and B.
    #[error("`{module}` has a bias of its own (`lora_bias`), which llama.cpp does not add")]
    Bias {
        /// The module.
        module: String,
    },
    /// A tensor trained in full.
    #[error("`{tensor}` was trained in full ({what}); llama.cpp takes low-rank changes only")]
    Replaced {
        /// The tensor.
        tensor: String,
        /// What it is.
        what: &'static str,
    },
    /// What lies below a low-rank change is not the base's.
    #[error(
        "the adapter brings `{tensor}` itself, which its low-rank change was trained upon, and it is \
         not the base's"
    )]
    OtherBase {
        /// The tensor.
        tensor: String,
    },
    /// LoRA on a head that is the embedding.
    #[error(
        "the base ties `{module}` to the embedding, so that llama.cpp has no such tensor to change; \
         untie the base before training, or leave the head out of `target_modules`"
    )]
    TiedHead {
        /// The module.
        module: String,
    },
    /// LoRA on an embedding that is the head too.
    #[error("the base's head is `{module}` too, and llama.cpp cannot change one without the other")]
    TiedEmbedding {
        /// The module.
        module: String,
    },
    /// Not one of the family's matrices.
    #[error("`{module}` is no matrix of the {family} family")]
    Unknown {
        /// The module.
        module: String,
        /// The family.
        family: &'static str,
    },
    /// Stored as an embedding's change without being one, or the reverse.
    #[error("`{module}` is stored as {found}, expected {expected}")]
    Kind {
        /// The module.
        module: String,
        /// What it is stored as.
        found: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The layer is none of the base's.
    #[error("`{module}`: `num_hidden_layers` in the base's `config.json` is {layers}")]
    Layer {
        /// The module.
        module: String,
        /// Layers of the base.
        layers: u32,
    },
    /// A shape other than the base's.
    #[error(
        "`{tensor}` has {found:?} outputs and inputs in the adapter, expected {expected:?} by the \
         base's `config.json`; was the adapter trained on another base?"
    )]
    Shape {
        /// The weight that is changed.
        tensor: String,
        /// Rows and columns that the adapter changes.
        found: [u64; 2],
        /// Rows and columns of the base's.
        expected: [u64; 2],
    },
    /// No number that a file could hold.
    #[error("`{module}`: scale {scale} and rank {rank} give no 32-bit alpha")]
    Alpha {
        /// The module.
        module: String,
        /// What its product is multiplied by.
        scale: f64,
        /// Its rank.
        rank: usize,
    },
    /// Too large a number.
    #[error("`{tensor}`, row {row} has a value that {to} cannot hold; write bf16 or f32")]
    Overflow {
        /// The tensor of the file.
        tensor: String,
        /// The row.
        row: usize,
        /// The type.
        to: &'static str,
    },
    /// Nothing of the language model.
    #[error("no module of the language model is changed")]
    Empty,
}

impl LoraProblem {
    /// Tells whether merging the adapter into its base is a way out.
    pub fn is_mergeable(&self) -> bool {
        matches!(
            self,
            Self::Dora { .. }
                | Self::Bias { .. }
                | Self::Replaced { .. }
                | Self::OtherBase { .. }
                | Self::TiedEmbedding { .. }
        )
    }
}
