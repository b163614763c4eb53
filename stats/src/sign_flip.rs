use crate::error::check_count;
use crate::sample::check_values;
use crate::{Random, StatsError};

/// Up to this many pairs, all sign vectors are counted.
pub const SIGN_FLIP_EXACT_UP_TO: usize = 20;

/// Sums closer than this share of `Σ|d|` are ties.
///
/// Scores of a few decimals make sums that are equal on paper and a few 1e-16 apart in floating
/// point; without a tolerance p would depend on the order of the rows.
const TIE: f64 = 1e-10;

/// Sign vectors summed up at the same time: one sum alone waits for each of its additions.
const ABREAST: usize = 8;

/// How the sign vectors of a [`SignFlip`] test were gone through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SignFlipMethod {
    /// All 2^n of them.
    Exact,
    /// A random sample, the observed signs counted in.
    Sampled {
        /// Sign vectors drawn.
        draws: usize,
        /// Seed of the draws.
        seed: u64,
        /// Monte-Carlo standard error of the two-sided p, `√(p(1−p)/(draws+1))`.
        standard_error: f64,
    },
}

/// What the sign-flip test says about one sample of differences.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignFlip {
    /// Number of pairs.
    pub n: usize,
    /// Share of sign vectors whose sum is at least as far from 0 as the observed one.
    pub p_two_sided: f64,
    /// Share of sign vectors whose sum is at least the observed one.
    pub p_greater: f64,
    /// Share of sign vectors whose sum is at most the observed one.
    pub p_less: f64,
    /// Exact, or sampled with how much error.
    pub method: SignFlipMethod,
}

/// Tests whether paired differences are symmetric about 0, by flipping their signs.
///
/// Two-sided `p = #{|Σ ε·d| ≥ |Σ d|}/2^n` over all ε ∈ {−1, 1}^n (Fisher 1935). Up to
/// [`SIGN_FLIP_EXACT_UP_TO`] pairs the count is exact and p a multiple of 2^−(n−1); beyond,
/// `draws` vectors are drawn with `seed` and p = (count + 1)/(draws + 1) (Davison & Hinkley 1997,
/// 4.2), which is never 0. Assumes independent pairs and, under the null hypothesis, symmetry;
/// no normality. Sums that differ by less than 1e-10 of `Σ|d|` count as equal, and so against the
/// observed one. Differences that are all 0 give p = 1.
///
/// Errors with `TooFew` below two pairs or without draws where they are needed, `NonFinite`,
/// `TooLarge`.
pub fn sign_flip(differences: &[f64], draws: usize, seed: u64) -> Result<SignFlip, StatsError> {
    check_count("a sign-flip test", 2, differences.len())?;
    check_values(differences)?;
    // In a fixed order the sums do not depend on the order of the rows.
    let mut sorted = differences.to_vec();
    sorted.sort_by(|a, b| a.abs().total_cmp(&b.abs()).then(a.total_cmp(b)));
    if sorted.len() <= SIGN_FLIP_EXACT_UP_TO {
        Ok(exact(&sorted))
    } else {
        check_count("a sampled sign-flip test", 1, draws)?;
        Ok(sampled(&sorted, draws, seed))
    }
}

struct Thresholds {
    observed: f64,
    tolerance: f64,
}

impl Thresholds {
    fn of(differences: &[f64]) -> Self {
        let observed = differences.iter().sum();
        let tolerance = TIE * differences.iter().map(|d| d.abs()).sum::<f64>();
        Self {
            observed,
            tolerance,
        }
    }
}

/// Counts by halves: every sum is one of 2^(n/2) sums of the one half plus one of the other, and
/// with both lists sorted the pairs above a threshold are counted in one pass.
fn exact(differences: &[f64]) -> SignFlip {
    let n = differences.len();
    let Thresholds {
        observed,
        tolerance,
    } = Thresholds::of(differences);
    let (left, right) = differences.split_at(n / 2);
    let (left, right) = (signed_sums(left), signed_sums(right));
    // The set of sums is symmetric about 0, so that #{sum ≤ −x} is #{sum ≥ x}.
    let at_least = |threshold: f64| count_at_least(&left, &right, threshold);
    let total = 1_u64 << n;
    let distance = observed.abs() - tolerance;
    let extreme = if distance <= 0.0 {
        total
    } else {
        2 * at_least(distance)
    };
    let share = |count: u64| count as f64 / total as f64;
    SignFlip {
        n,
        p_two_sided: share(extreme),
        p_greater: share(at_least(observed - tolerance)),
        p_less: share(at_least(-observed - tolerance)),
        method: SignFlipMethod::Exact,
    }
}

fn signed_sums(differences: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0];
    for difference in differences {
        sums = sums
            .iter()
            .flat_map(|sum| [sum - difference, sum + difference])
            .collect();
    }
    sums.sort_by(f64::total_cmp);
    sums
}

fn count_at_least(left: &[f64], right: &[f64], threshold: f64) -> u64 {
    let mut n_too_small = right.len();
    let mut count = 0;
    for sum in left {
        while n_too_small > 0 && sum + right[n_too_small - 1] >= threshold {
            n_too_small -= 1;
        }
        count += (right.len() - n_too_small) as u64;
    }
    count
}

fn sampled(differences: &[f64], draws: usize, seed: u64) -> SignFlip {
    let Thresholds {
        observed,
        tolerance,
    } = Thresholds::of(differences);
    let mut random = Random::new(seed);
    let (mut extreme, mut greater, mut less) = (1_u64, 1_u64, 1_u64);
    let n_words = differences.len().div_ceil(64);
    let mut signs = vec![0; n_words * ABREAST];
    for first in (0..draws).step_by(ABREAST) {
        let n = ABREAST.min(draws - first);
        // Those beyond the last draw take no bits and are not counted.
        signs[..n * n_words].fill_with(|| random.bits());
        for sum in &abreast_sums(differences, &signs)[..n] {
            extreme += u64::from(sum.abs() >= observed.abs() - tolerance);
            greater += u64::from(*sum >= observed - tolerance);
            less += u64::from(*sum <= observed + tolerance);
        }
    }
    let total = draws as f64 + 1.0;
    let p_two_sided = extreme as f64 / total;
    SignFlip {
        n: differences.len(),
        p_two_sided,
        p_greater: greater as f64 / total,
        p_less: less as f64 / total,
        method: SignFlipMethod::Sampled {
            draws,
            seed,
            standard_error: (p_two_sided * (1.0 - p_two_sided) / total).sqrt(),
        },
    }
}

/// Returns the sums of `differences` with the signs of [`ABREAST`] draws, whose words follow one another
/// in `signs`; a bit that is set keeps the sign. Every sum is added up in order.
fn abreast_sums(differences: &[f64], signs: &[u64]) -> [f64; ABREAST] {
    let n_words = signs.len() / ABREAST;
    let mut sums = [0.0; ABREAST];
    for (word, chunk) in differences.chunks(64).enumerate() {
        let mut flips = [0; ABREAST];
        for (draw, flip) in flips.iter_mut().enumerate() {
            *flip = !signs[draw * n_words + word];
        }
        for difference in chunk {
            for (sum, flip) in sums.iter_mut().zip(&mut flips) {
                *sum += f64::from_bits(difference.to_bits() ^ (*flip << 63));
                *flip >>= 1;
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::{SignFlipMethod, sampled, sign_flip};
    use crate::StatsError;

    #[test]
    fn equal_differences_are_as_extreme_as_can_be() {
        let test = sign_flip(&[0.1; 15], 0, 0).unwrap();
        assert_eq!(test.p_two_sided, 2.0 / 32768.0);
        assert_eq!((test.p_greater, test.p_less), (1.0 / 32768.0, 1.0));
    }

    #[test]
    fn sums_equal_on_paper_are_ties() {
        // 0.1 + 0.2 − 0.3 is 5.6e-17 in floating point.
        let test = sign_flip(&[0.1, 0.2, -0.3], 0, 0).unwrap();
        assert_eq!(
            (test.p_two_sided, test.p_greater, test.p_less),
            (1.0, 0.625, 0.625)
        );
        assert_eq!(sign_flip(&[0.0; 4], 0, 0).unwrap().p_two_sided, 1.0);
    }

    #[test]
    fn sampling_agrees_with_counting_within_its_error() {
        let differences = [0.12, -0.05, 0.2, 0.01, 0.07, -0.11, 0.16, 0.09];
        let exact = sign_flip(&differences, 0, 0).unwrap();
        let sample = sampled(&differences, 100_000, 4);
        let SignFlipMethod::Sampled { standard_error, .. } = sample.method else {
            panic!()
        };
        assert!((exact.p_two_sided - sample.p_two_sided).abs() < 4.0 * standard_error);
        assert!((exact.p_greater - sample.p_greater).abs() < 4.0 * standard_error);
        assert!((exact.p_less - sample.p_less).abs() < 4.0 * standard_error);
        assert_eq!(sample, sampled(&differences, 100_000, 4));
    }

    #[test]
    fn many_pairs_are_sampled_and_never_give_p_0() {
        let test = sign_flip(&[0.5; 40], 999, 1).unwrap();
        assert_eq!(test.p_two_sided, 0.001);
        let without_draws = sign_flip(&[0.5; 40], 0, 1);
        assert!(matches!(
            without_draws,
            Err(StatsError::TooFew { needed: 1, .. })
        ));
        assert!(matches!(
            sign_flip(&[0.5], 9, 1),
            Err(StatsError::TooFew { needed: 2, .. })
        ));
    }
}
