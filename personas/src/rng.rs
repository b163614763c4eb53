use sha2::{Digest as _, Sha256};

/// A portable stream of numbers: `SplitMix64`, seeded from the SHA-256 of a label.
///
/// Version 1. Integer arithmetic alone, so the same label gives the same numbers on every platform,
/// for ever; a change here is a change of every persona and needs a new version in the labels.
/// Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
#[derive(Clone, Debug)]
pub(crate) struct Rng {
    state: u64,
}

impl Rng {
    /// Returns the stream named by `label`; parts are told apart by their lengths.
    pub(crate) fn new(label: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"shipworthy-rng-1");
        for part in label {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let digest = hasher.finalize();
        let state = digest
            .iter()
            .take(8)
            .fold(0, |state, &byte| state << 8 | u64::from(byte));
        Self { state }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `bound`, or 0 for a bound of 0.
    ///
    /// Multiply and shift; the bias, below `bound` / 2^64, is accepted.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let product = u128::from(self.next()) * bound as u128;
        usize::try_from(product >> 64).expect("the high word is below the bound")
    }

    /// Puts `items` in random order (Fisher–Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn stream_is_splitmix64() {
        // The first outputs for state 0, from the authors' reference implementation.
        let mut rng = Rng { state: 0 };
        assert_eq!(rng.next(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(rng.next(), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn labels_are_told_apart_and_bounds_hold() {
        assert_ne!(
            Rng::new(&[b"ab", b"c"]).next(),
            Rng::new(&[b"a", b"bc"]).next()
        );
        let mut rng = Rng::new(&[b"x"]);
        assert!((0..1000).all(|_| rng.below(7) < 7));
        assert_eq!(rng.below(0), 0);
    }
}
