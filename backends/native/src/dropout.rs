use rayon::prelude::*;
use thiserror::Error;

use crate::batch::Batch;

/// Values that one drawing of random bits decides about.
const LANES: usize = 4;

/// Values that a thread goes through at a time, or one row if that has more.
const CHUNK: usize = 1 << 14;

/// Dropout whose mask depends on what a value is, and not on where it is computed.
///
/// Whether a value is dropped follows from the seed, the key of its sequence, its place in the sequence,
/// the module and the feature; nothing is drawn from a stream. So the mask is the same whether a sequence
/// stands in a batch of one or of eight, packed or not, and when a layer is computed again for its
/// gradients.
///
/// The random bits, for whoever computes them elsewhere: `mix(x)` is the output step of `SplitMix64` with
/// Stafford's thirteenth constants (x + 0x9E3779B97F4A7C15; then exclusive or with itself shifted by 30, times
/// 0xBF58476D1CE4E5B9; by 27, times 0x94D049BB133111EB; by 31). A row has the key
/// `mix(mix(mix(mix(seed) + sequence) + module) + position)`, and features 4i to 4i + 3 have the 16-bit
/// parts of `mix(key + i × 0x9E3779B97F4A7C15)`, the lowest first; all sums wrap. A value is dropped where
/// its part is below the probability times 65,536.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Parts below this are dropped.
    threshold: u16,
    scale: f32,
}

/// Says why there is no such dropout.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error("a dropout of {probability} is not possible; it must be at least 0 and below 1")]
pub struct DropoutError {
    /// What was asked for.
    pub probability: f64,
}

impl Dropout {
    /// Makes one that drops values with a probability, from 0 to below 1, and scales the others up.
    ///
    /// The probability is rounded to a multiple of 1 / 65,536, and values are multiplied by 1 / (1 − p) for
    /// that one, so that means stay what they were.
    pub fn new(probability: f64) -> Result<Self, DropoutError> {
        if !(0.0..1.0).contains(&probability) {
            return Err(DropoutError { probability });
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "below 65,536 after the minimum"
        )]
        let threshold = (probability * 65536.0).round().min(65535.0) as u16;
        Ok(Self {
            threshold,
            scale: 65536.0 / (65536.0 - f32::from(threshold)),
        })
    }

    /// Tells whether it leaves everything as it is.
    pub fn is_nothing(&self) -> bool {
        self.threshold == 0
    }

    /// Drops values of `(tokens, features)` and scales the others; on a gradient, it is the backward pass.
    ///
    /// `module`: any number that no other module of the model has. Panics if `values` does not have the
    /// same number of values for each token of the batch.
    pub fn apply(&self, batch: &Batch, seed: u64, module: u64, values: &mut [f32]) {
        if self.is_nothing() || values.is_empty() {
            return;
        }
        let tokens = batch.tokens().len();
        let features = values.len() / tokens.max(1);
        assert_eq!(values.len(), tokens * features, "values of {tokens} tokens");
        let mut keys = Vec::with_capacity(tokens);
        for (sequence, &sequence_key) in batch.sequences().zip(batch.keys()) {
            let key = mix(mix(mix(seed).wrapping_add(sequence_key)).wrapping_add(module));
            keys.extend((0..sequence.len() as u64).map(|position| mix(key.wrapping_add(position))));
        }
        let rows = (CHUNK / features).max(1);
        values
            .par_chunks_mut(rows * features)
            .zip(keys.par_chunks(rows))
            .for_each(|(values, keys)| {
                for (row, &key) in values.chunks_mut(features).zip(keys) {
                    self.apply_to_row(key, row);
                }
            });
    }

    fn apply_to_row(self, key: u64, row: &mut [f32]) {
        let (fours, rest) = row.as_chunks_mut::<LANES>();
        let mut counter = key;
        for four in fours {
            self.apply_to_lanes(mix(counter), four);
            counter = counter.wrapping_add(GOLDEN);
        }
        self.apply_to_lanes(mix(counter), rest);
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is the body of the loop")]
    fn apply_to_lanes(self, bits: u64, lanes: &mut [f32]) {
        let mut bits = bits;
        for value in lanes {
            let part = bits & 0xFFFF;
            let kept = *value * self.scale;
            *value = if part < u64::from(self.threshold) {
                0.0
            } else {
                kept
            };
            bits >>= 16;
        }
    }
}

/// 2⁶⁴ divided by the golden ratio, made odd: its multiples lie far apart.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Makes every bit depend on all: the last step of `SplitMix64`, with Stafford's constants (his variant 13).
///
/// Steele, Lea and Flood 2014, figure 17; the golden ratio is added first, so that 0 does not stay 0.
#[inline]
fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(GOLDEN);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use shipworthy_datasets::TokenisedExample;
    use test_case::test_case;

    use super::*;

    fn batch(sequences: &[(usize, u64)]) -> Batch {
        let examples: Vec<_> = sequences
            .iter()
            .map(|&(length, key)| {
                let example = TokenisedExample {
                    id: String::new(),
                    tokens: vec![1; length],
                    labelled: vec![true; length],
                };
                (example, key)
            })
            .collect();
        Batch::new(examples.iter().map(|(example, key)| (example, *key)))
    }

    /// Returns the mask of a batch, whose kept values are 1.
    fn mask(sequences: &[(usize, u64)], seed: u64, module: u64, features: usize) -> Vec<f32> {
        let batch = batch(sequences);
        let mut values = vec![1.0; batch.tokens().len() * features];
        let dropout = Dropout::new(0.5).unwrap();
        dropout.apply(&batch, seed, module, &mut values);
        assert!(values.iter().all(|&value| value == 0.0 || value == 2.0));
        values
    }

    #[test]
    fn a_sequence_has_its_mask_wherever_it_stands() {
        for features in [1, 3, 64, 30_001] {
            let both = mask(&[(5, 10), (3, 11)], 7, 2, features);
            assert_eq!(both[..5 * features], mask(&[(5, 10)], 7, 2, features));
            assert_eq!(both[5 * features..], mask(&[(3, 11)], 7, 2, features));
            // What comes later does not change what came before.
            assert_eq!(both[..4 * features], mask(&[(4, 10)], 7, 2, features));
        }
    }

    #[test_case(0.05)]
    #[test_case(0.1)]
    #[test_case(0.5)]
    #[test_case(0.9)]
    fn the_rate_is_right_and_the_mean_stays(probability: f64) {
        let batch = batch(&[(500, 1), (500, 2)]);
        let count = 1000 * 1003;
        let mut values = vec![1.0; count];
        Dropout::new(probability)
            .unwrap()
            .apply(&batch, 3, 4, &mut values);
        let dropped = values.iter().filter(|&&value| value == 0.0).count() as f64;
        let deviation = (probability * (1.0 - probability) * count as f64).sqrt();
        assert!(
            (dropped - probability * count as f64).abs() < 4.0 * deviation,
            "{dropped}"
        );
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count as f64;
        let error = 4.0 * deviation / (1.0 - probability) / count as f64;
        assert!((mean - 1.0).abs() < error, "{mean}");
    }

    /// Masks that are independent agree on half of the values.
    fn assert_independent(one: &[f32], other: &[f32]) {
        let agreeing = one
            .iter()
            .zip(other)
            .filter(|(one, other)| one == other)
            .count() as f64;
        let half = one.len() as f64 / 2.0;
        assert!(
            (agreeing - half).abs() < 4.0 * (half / 2.0).sqrt(),
            "{agreeing} of {}",
            one.len()
        );
    }

    #[test]
    fn neighbouring_keys_have_independent_masks() {
        let features = 1000;
        let one = mask(&[(100, 5)], 7, 2, features);
        assert_independent(&one, &mask(&[(100, 5)], 8, 2, features));
        assert_independent(&one, &mask(&[(100, 5)], 7, 3, features));
        assert_independent(&one, &mask(&[(100, 6)], 7, 2, features));
        assert_independent(&one, &mask(&[(100, 2)], 7, 5, features));
        // Neighbours within one: positions, features, and features of the next drawing.
        for distance in [1, LANES, features, features + 1, features - LANES] {
            assert_independent(&one[distance..], &one[..one.len() - distance]);
        }
    }

    #[test]
    fn masks_are_the_same_on_every_machine() {
        let dropped: Vec<bool> = mask(&[(2, 1)], 0, 0, 9)
            .iter()
            .map(|&value| value == 0.0)
            .collect();
        let expected = ".x.x...x...x.x..x.";
        let found: String = dropped
            .iter()
            .map(|&is| if is { '.' } else { 'x' })
            .collect();
        assert_eq!(found, expected);
    }

    #[test_case(1.0)]
    #[test_case(-0.1)]
    #[test_case(f64::NAN)]
    fn what_is_no_probability_is_refused(probability: f64) {
        assert!(Dropout::new(probability).is_err());
    }

    #[test]
    fn nothing_is_dropped_at_0() {
        let dropout = Dropout::new(0.0).unwrap();
        let mut values = [1.5, f32::NAN];
        dropout.apply(&batch(&[(2, 1)]), 1, 1, &mut values);
        assert!(values[0] == 1.5 && values[1].is_nan());
    }
}
