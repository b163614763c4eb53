use sha2::{Digest as _, Sha256};
use shipworthy_datasets::TokenisedExample;

use super::error::TrainingError;
use crate::named_tensors::hexadecimal;

/// What a model is trained on, and what it is evaluated on meanwhile.
#[derive(Clone, Debug, Default)]
pub struct TrainingData {
    /// The examples it learns from.
    pub train: Vec<TokenisedExample>,
    /// The examples held out; none if nothing is evaluated.
    pub eval: Vec<TokenisedExample>,
}

impl TrainingData {
    /// Errors with the first example that cannot go through a model of so many tokens, or if there is none.
    pub(super) fn check(&self, vocab_size: usize) -> Result<(), TrainingError> {
        if self.train.is_empty() {
            return Err(TrainingError::EmptyData { split: "training" });
        }
        for example in self.train.iter().chain(&self.eval) {
            let (tokens, labels) = (example.tokens.len(), example.labelled.len());
            if tokens != labels || tokens == 0 {
                return Err(TrainingError::Ragged {
                    id: example.id.clone(),
                    tokens,
                    labels,
                });
            }
            let is_unknown = |token: &&u32| **token as usize >= vocab_size;
            if let Some(&token) = example.tokens.iter().find(is_unknown) {
                return Err(TrainingError::Vocabulary {
                    id: example.id.clone(),
                    token,
                    vocab_size,
                });
            }
        }
        let is_learnt = |example: &TokenisedExample| example.labelled_count() > 0;
        if !self.eval.is_empty() && !self.eval.iter().any(is_learnt) {
            let ids = self.eval.iter().map(|example| example.id.clone());
            return Err(TrainingError::NoLabels { ids: ids.collect() });
        }
        Ok(())
    }

    /// Returns digests of both parts: of tokens and labels, in their order.
    pub(super) fn digests(&self) -> [String; 2] {
        [digest(&self.train), digest(&self.eval)]
    }
}

fn digest(examples: &[TokenisedExample]) -> String {
    let mut digest = Sha256::new();
    for example in examples {
        digest.update((example.tokens.len() as u64).to_le_bytes());
        for (token, &is_labelled) in example.tokens.iter().zip(&example.labelled) {
            digest.update(token.to_le_bytes());
            digest.update([u8::from(is_labelled)]);
        }
    }
    hexadecimal(digest)
}
