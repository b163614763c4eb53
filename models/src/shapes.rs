//! Whether weights have the shapes that `config.json` gives, told from headers alone.

use crate::checkpoint::Checkpoint;
use crate::error::ModelError;
use crate::hyper_parameters::HyperParameters;
use crate::number_format::NumberFormat;
use crate::value_counts::{Projection, projections};

/// The end of the embedding's name, before which stands what all names of the language model begin with.
const EMBEDDING: &str = "embed_tokens.weight";
/// The head's name, behind any prefix.
const HEAD: &str = "lm_head.weight";
/// Projections of a layer's attention; the others are its feed-forward network's.
const ATTENTION: [&str; 4] = ["q_proj", "k_proj", "v_proj", "o_proj"];

impl Checkpoint {
    /// Checks the embedding, the head and all layers' projections; nothing but headers is read.
    ///
    /// Errors with the first tensor of another shape than `config.json` gives, and with the shape that
    /// follows from it. What is missing, or is stored in few bits, is not looked at.
    pub fn check_shapes(&self) -> Result<(), ModelError> {
        self.check_shapes_of(&self.config().hyper_parameters()?)
    }

    /// The same, for sizes already read.
    pub(crate) fn check_shapes_of(&self, sizes: &HyperParameters) -> Result<(), ModelError> {
        let names = || self.tensor_names();
        let table = [u64::from(sizes.vocab_size), u64::from(sizes.hidden_size)];
        let Some(embedding) = names().find(|name| name.ends_with(EMBEDDING)) else {
            return Ok(());
        };
        self.check_table(embedding, table)?;
        if let Some(head) = names().find(|name| name.ends_with(HEAD)) {
            self.check_table(head, table)?;
        }
        let prefix = embedding.strip_suffix(EMBEDDING).unwrap_or_default();
        for layer in 0..sizes.num_hidden_layers {
            for Projection {
                name,
                out_features,
                in_features,
                ..
            } in projections(sizes)
            {
                let part = if ATTENTION.contains(&name) {
                    "self_attn"
                } else {
                    "mlp"
                };
                let name = format!("{prefix}layers.{layer}.{part}.{name}.weight");
                self.check_shape(&name, [out_features, in_features])?;
            }
        }
        Ok(())
    }

    /// Checks a table of tokens, which may have rows for more tokens than there are.
    fn check_table(&self, name: &str, [rows, columns]: [u64; 2]) -> Result<(), ModelError> {
        let found = self.stored_shape(name);
        let found = found.and_then(|shape| shape.first().copied());
        let more = found.map_or(rows, |found| rows.max(found as u64));
        match self.check_shape(name, [more, columns]) {
            Ok(()) => Ok(()),
            Err(_) => self.check_shape(name, [rows, columns]),
        }
    }

    fn check_shape(&self, name: &str, expected: [u64; 2]) -> Result<(), ModelError> {
        if self.stored_shape(name).is_none() {
            return Ok(());
        }
        let expected = expected.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        self.view(name)?.expect_shape(&expected)
    }

    /// Returns the shape of a tensor, if it is there with values that can be computed with.
    fn stored_shape(&self, name: &str) -> Option<&[usize]> {
        let tensor = self.tensor(self.place(name)?);
        NumberFormat::of(tensor.dtype)?;
        Some(&tensor.shape)
    }
}
