//! One alpha for a file whose modules may have scales of their own.
//!
//! llama.cpp multiplies B·A by the file's alpha over the pair's rank. rsLoRA's scale is alpha / √rank
//! and patterns give a module another alpha, so alpha becomes scale · rank of most modules, and B of
//! the others is multiplied by what then is missing.

use std::collections::BTreeMap;

use super::error::LoraProblem;
use crate::adapter::Lora;

/// Returns what alpha would have to be for this module alone.
pub(super) fn wanted(module: &str, lora: &Lora) -> Result<f32, LoraProblem> {
    #[expect(clippy::cast_possible_truncation, reason = "the file has f32")]
    let alpha = (lora.scale * lora.rank as f64) as f32;
    if alpha.is_normal() || lora.scale == 0.0 {
        return Ok(alpha);
    }
    Err(LoraProblem::Alpha {
        module: module.to_owned(),
        scale: lora.scale,
        rank: lora.rank,
    })
}

/// Returns the alpha that most of `wanted` are; of several equally frequent ones `usual`, if it is one
/// of them, else the least.
///
/// It is never 0, which llama.cpp would take for a scale of 1.
pub(super) fn common(wanted: impl Iterator<Item = f32>, usual: f64) -> f32 {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for alpha in wanted.filter(|&alpha| alpha != 0.0) {
        *counts.entry(alpha.to_bits()).or_default() += 1;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the file has f32")]
    let usual = (usual as f32).to_bits();
    let most = counts
        .iter()
        .rev()
        .max_by_key(|(bits, count)| (**count, **bits == usual));
    most.map_or(1.0, |(bits, _)| f32::from_bits(*bits))
}

/// Returns what B is multiplied by so that the file's `alpha` gives the module's scale.
///
/// Exactly 1 where alpha is what the module wants.
pub(super) fn factor(module: &str, lora: &Lora, alpha: f32) -> Result<f32, LoraProblem> {
    if wanted(module, lora)?.to_bits() == alpha.to_bits() {
        return Ok(1.0);
    }
    #[expect(clippy::cast_possible_truncation, reason = "B is computed in f32")]
    let factor = (lora.scale * lora.rank as f64 / f64::from(alpha)) as f32;
    if factor.is_normal() || lora.scale == 0.0 {
        return Ok(factor);
    }
    Err(LoraProblem::Alpha {
        module: module.to_owned(),
        scale: lora.scale,
        rank: lora.rank,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lora(rank: usize, scale: f64) -> Lora {
        Lora {
            is_embedding: false,
            a: 0,
            b: 1,
            magnitude: None,
            bias: None,
            rank,
            scale,
        }
    }

    #[test]
    fn most_modules_decide() {
        let common = |wanted: &[f32], usual| common(wanted.iter().copied(), usual);
        assert_eq!(common(&[8.0, 5.0, 5.0], 8.0), 5.0);
        assert_eq!(common(&[5.0, 8.0, 8.0, 5.0], 8.0), 8.0, "the usual one");
        assert_eq!(common(&[7.0, 5.0], 8.0), 5.0, "the least");
        assert_eq!(common(&[0.0, 0.0, 3.0], 0.0), 3.0);
        assert_eq!(common(&[0.0], 0.0), 1.0, "0 would be a scale of 1");
    }

    #[test]
    fn factors_give_back_the_scale() {
        for (rank, scale) in [(6, 8.0 / 6f64.sqrt()), (3, 5.0 / 3.0), (64, 1e-3), (4, 0.0)] {
            let lora = lora(rank, scale);
            for alpha in [16.0, 0.3, wanted("q", &lora).unwrap().max(0.1)] {
                let factor = f64::from(factor("q", &lora, alpha).unwrap());
                let found = factor * f64::from(alpha) / rank as f64;
                assert!((found - scale).abs() <= scale * 1.2e-7, "{found} {scale}");
            }
        }
        assert_eq!(factor("q", &lora(3, 5.0 / 3.0), 5.0).unwrap(), 1.0);
    }

    #[test]
    fn what_no_file_can_hold_is_refused() {
        for scale in [1e300, 1e-300] {
            let error = wanted("q", &lora(4, scale)).unwrap_err().to_string();
            assert!(error.contains("give no 32-bit alpha"), "{error}");
        }
        assert!(factor("q", &lora(4, 1e30), 1e-30).is_err());
    }
}
