/// A stream of random numbers that its seed fixes on every platform.
///
/// xoshiro256++ (Blackman & Vigna 2021), its state filled by `SplitMix64` (Steele et al. 2014). It is
/// written out here, some forty lines, because results recorded with a seed must outlive a
/// dependency's next major version. Not for secrets.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// Starts the stream of a seed.
    pub fn new(seed: u64) -> Self {
        let mut mixer = seed;
        let state = [(); 4].map(|()| split_mix(&mut mixer));
        Self { state }
    }

    /// Starts the `index`-th stream of a seed, for replicates that run in any order.
    pub fn stream(seed: u64, index: u64) -> Self {
        let mut mixer = seed;
        let key = split_mix(&mut mixer);
        let mut offset = index ^ key;
        Self::new(split_mix(&mut offset))
    }

    /// Draws 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        let (b, a) = (b ^ c, a ^ d);
        self.state = [a, b, c ^ (self.state[1] << 17), d.rotate_left(45)];
        result
    }

    /// Draws a number from 0 (included) to 1 (excluded), with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Draws an index below `bound`, all equally likely; a bound of 0 counts as 1.
    ///
    /// Lemire 2019: the high half of a 128-bit product, rejecting the few products that would
    /// favour some indices.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = bound.max(1) as u64;
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.bits()) * u128::from(bound);
            #[expect(clippy::cast_possible_truncation, reason = "the low half is wanted")]
            let low = product as u64;
            if low >= threshold {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the high half is below bound"
                )]
                return (product >> 64) as usize;
            }
        }
    }

    /// Draws a standard normal number, by Marsaglia's polar method.
    ///
    /// The second number of each pair is thrown away, so that the stream has no hidden state.
    pub fn normal(&mut self) -> f64 {
        loop {
            let x = 2.0 * self.uniform() - 1.0;
            let y = 2.0 * self.uniform() - 1.0;
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                return x * (-2.0 * square.ln() / square).sqrt();
            }
        }
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Random, split_mix};

    #[test]
    fn the_stream_is_the_reference_implementation_s() {
        // First outputs of the authors' xoshiro256plusplus.c from the state 1, 2, 3, 4.
        let mut random = Random {
            state: [1, 2, 3, 4],
        };
        let expected = [
            41_943_041,
            58_720_359,
            3_588_806_011_781_223,
            3_591_011_842_654_386,
        ];
        assert_eq!(expected.map(|_: u64| random.bits()), expected);
        // First output of the authors' splitmix64.c from the state 0.
        assert_eq!(split_mix(&mut 0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn indices_stay_below_their_bound_and_reach_it() {
        let mut random = Random::new(1);
        let drawn: Vec<usize> = (0..200).map(|_| random.below(7)).collect();
        assert!((0..7).all(|index| drawn.contains(&index)) && drawn.iter().all(|&i| i < 7));
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let mut random = Random::new(2);
        let drawn: Vec<f64> = (0..100_000).map(|_| random.normal()).collect();
        let mean = drawn.iter().sum::<f64>() / 1e5;
        let square = drawn.iter().map(|x| x * x).sum::<f64>() / 1e5;
        assert!(
            mean.abs() < 0.02 && (square - 1.0).abs() < 0.03,
            "{mean} {square}"
        );
    }
}
