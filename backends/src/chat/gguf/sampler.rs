//! Drawing the next token.

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use shipworthy_schema::Sampling;

/// llama.cpp's chain of samplers for one reply, in llama-server's order: (grammar,) top-k, top-p,
/// min-p, temperature, draw.
pub(super) struct Sampler {
    chain: LlamaSampler,
    /// The chain begins with a grammar.
    is_constrained: bool,
}

impl Sampler {
    /// Sets up the draws for one reply; `grammar` is in GBNF and its start is `root`.
    ///
    /// Errors where llama.cpp does not take the grammar.
    pub(super) fn new(
        model: &LlamaModel,
        sampling: &Sampling,
        grammar: Option<&str>,
    ) -> Result<Self, String> {
        let mut samplers = Vec::new();
        if let Some(grammar) = grammar {
            let sampler = LlamaSampler::grammar(model, grammar, "root")
                .map_err(|error| format!("the response schema's grammar is refused: {error}"))?;
            samplers.push(sampler);
        }
        if sampling.temperature > 0.0 {
            if sampling.top_k > 0 {
                let top_k = i32::try_from(sampling.top_k).unwrap_or(i32::MAX);
                samplers.push(LlamaSampler::top_k(top_k));
            }
            if sampling.top_p < 1.0 {
                samplers.push(LlamaSampler::top_p(narrow(sampling.top_p), 1));
            }
            if sampling.min_p > 0.0 {
                samplers.push(LlamaSampler::min_p(narrow(sampling.min_p), 1));
            }
            samplers.push(LlamaSampler::temp(narrow(sampling.temperature)));
            samplers.push(LlamaSampler::dist(fold(sampling.seed)));
        } else {
            samplers.push(LlamaSampler::greedy());
        }
        Ok(Self {
            chain: LlamaSampler::chain(samplers, true),
            is_constrained: grammar.is_some(),
        })
    }

    /// Draws from the logits at place `index` of the batch decoded last.
    ///
    /// Errors where no token of the vocabulary goes on as the grammar wants.
    pub(super) fn draw(
        &mut self,
        context: &LlamaContext<'_>,
        index: i32,
    ) -> Result<LlamaToken, String> {
        if !self.is_constrained {
            return Ok(self.chain.sample(context, index));
        }
        // Drawn by hand: llama.cpp's own way throws a C++ exception, or aborts, on a token that the
        // grammar does not allow, which is what it draws when it allows none.
        let mut candidates = context.token_data_array_ith(index);
        self.chain.apply(&mut candidates);
        let drawn = candidates
            .selected
            .and_then(|selected| candidates.data.get(selected))
            .filter(|candidate| candidate.logit().is_finite())
            .ok_or("no token of the vocabulary goes on as the response schema wants")?;
        let token = drawn.id();
        self.chain
            .try_accept(token)
            .map_err(|error| format!("the response schema's grammar fails: {error}"))?;
        Ok(token)
    }
}

/// Makes 32 bits of a seed; all ones mean "a random seed" to llama.cpp and are avoided.
fn fold(seed: u64) -> u32 {
    let bytes = (seed ^ (seed >> 32)).to_le_bytes();
    match u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) {
        u32::MAX => 0,
        folded => folded,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "probabilities and temperatures: the nearest f32 is what llama.cpp takes"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn no_seed_means_a_random_one() {
        assert_eq!(fold(7), 7);
        assert_ne!(fold(7 << 32), fold(8 << 32));
        assert_ne!(fold(u64::from(u32::MAX)), u32::MAX);
        assert_ne!(fold(u64::from(u32::MAX) << 32), u32::MAX);
    }
}
