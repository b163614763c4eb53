//! How likely a GGUF file's model finds given tokens.

use std::path::Path;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use shipworthy_datasets::TokenisedExample;

use super::settings::Settings;
use super::{header, worker};
use crate::likelihood::{Likelihood, LikelihoodError, LikelihoodModel};

/// Tokens computed at once.
const BATCH: usize = 512;

/// Opens the file at `path` for examples of at most `longest` tokens.
pub(crate) fn open(
    path: &Path,
    longest: usize,
) -> Result<Box<dyn LikelihoodModel>, LikelihoodError> {
    // Read first: llama.cpp trusts what a file says of itself.
    let header = header::read(path)?;
    let (model, backend) = worker::load_weights(path)?;
    // A context borrows its model; one command opens one.
    let model: &'static LlamaModel = Box::leak(Box::new(model));
    let context = u32::try_from(longest).unwrap_or(u32::MAX);
    let settings = Settings::new(model, &header, Some(context), None, 1);
    let context = model
        .new_context(backend, settings.to_params())
        .map_err(|_| LikelihoodError::Mismatch {
            detail: format!(
                "llama.cpp cannot set up a conversation of {longest} tokens; split the longest \
                 example"
            ),
        })?;
    let vocab_size = usize::try_from(model.n_vocab()).unwrap_or(0);
    Ok(Box::new(GgufLikelihood {
        context,
        vocab_size,
        step: (settings.batch as usize).clamp(1, BATCH),
    }))
}

struct GgufLikelihood {
    context: LlamaContext<'static>,
    vocab_size: usize,
    step: usize,
}

impl LikelihoodModel for GgufLikelihood {
    fn likelihood(&mut self, example: &TokenisedExample) -> Result<Likelihood, LikelihoodError> {
        let failed = |detail: String| LikelihoodError::Computation {
            id: example.id.clone(),
            detail,
        };
        let tokens = &example.tokens;
        if let Some(token) = tokens
            .iter()
            .find(|token| **token as usize >= self.vocab_size)
        {
            return Err(LikelihoodError::Mismatch {
                detail: format!(
                    "example `{}` has token {token}, and the file's vocabulary ends at {}: the \
                     tokenizer is another model's",
                    example.id, self.vocab_size
                ),
            });
        }
        self.context.clear_kv_cache();
        let mut batch = LlamaBatch::new(self.step, 1);
        let mut likelihood = Likelihood {
            nll_sum: 0.0,
            labelled: 0,
        };
        let next_is_labelled = |position: usize| example.labelled.get(position + 1) == Some(&true);
        for begin in (0..tokens.len()).step_by(self.step) {
            let end = (begin + self.step).min(tokens.len());
            batch.clear();
            for (position, &token) in (begin..end).zip(&tokens[begin..end]) {
                let token = LlamaToken(i32::try_from(token).unwrap_or(i32::MAX));
                let place = i32::try_from(position).unwrap_or(i32::MAX);
                batch
                    .add(token, place, &[0], next_is_labelled(position))
                    .map_err(|error| failed(error.to_string()))?;
            }
            self.context
                .decode(&mut batch)
                .map_err(|error| failed(format!("llama.cpp failed to decode: {error}")))?;
            for position in (begin..end).filter(|&position| next_is_labelled(position)) {
                let idx = i32::try_from(position - begin).unwrap_or(i32::MAX);
                let logits = self.context.get_logits_ith(idx);
                likelihood.nll_sum += negative_log_likelihood(logits, tokens[position + 1]);
                likelihood.labelled += 1;
            }
        }
        if likelihood.nll_sum.is_finite() {
            Ok(likelihood)
        } else {
            let id = example.id.clone();
            Err(LikelihoodError::NotFinite { id })
        }
    }
}

/// Returns how unlikely a token is by the logits, in nats.
fn negative_log_likelihood(logits: &[f32], token: u32) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits
        .iter()
        .map(|logit| f64::from(logit - largest).exp())
        .sum();
    sum.ln() - f64::from(logits[token as usize] - largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_are_equally_likely() {
        let nll = negative_log_likelihood(&[1000.0; 8], 3);
        assert!((nll - 8.0_f64.ln()).abs() < 1e-12);
        assert!(negative_log_likelihood(&[0.0, 50.0], 1) < 1e-12);
    }
}
