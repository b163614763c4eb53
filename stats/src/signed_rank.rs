use crate::StatsError;
use crate::error::check_count;
use crate::normal;
use crate::sample::check_values;

/// Absolute differences closer than this share of the largest one are tied.
const TIE: f64 = 1e-10;

/// The most pairs whose exact distribution is computed; its time grows with n³.
const EXACT_UP_TO: usize = 1000;

/// What the signed-rank test does with differences of 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zeros {
    /// Drops them before ranking (Wilcoxon 1945).
    Drop,
    /// Ranks them with the others and drops their ranks (Pratt 1959).
    Pratt,
}

/// Where the signed-rank test takes its p from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RankDistribution {
    /// All 2^n signs of the observed ranks, ties included; up to 1000 pairs.
    Exact,
    /// The normal approximation, with variance corrected for ties and zeros.
    Normal {
        /// Moves the rank sum by ½ towards its mean.
        continuity: bool,
    },
}

/// What the signed-rank test says about one sample of differences.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignedRank {
    /// Differences that are not 0.
    pub n_used: usize,
    /// Sum of the ranks of positive differences.
    pub w_plus: f64,
    /// Sum of the ranks of negative differences.
    pub w_minus: f64,
    /// Twice the smaller one-sided p, at most 1.
    pub p_two_sided: f64,
    /// P(W⁺ ≥ observed): evidence that differences tend to be above 0.
    pub p_greater: f64,
    /// P(W⁺ ≤ observed): evidence that differences tend to be below 0.
    pub p_less: f64,
}

/// Tests whether paired differences are symmetric about 0, by Wilcoxon's signed ranks.
///
/// Tied absolute differences share their mean rank; equal means within 1e-10 of the largest one, as
/// does being 0. The exact distribution of W⁺ is that of the observed mid-ranks under random signs
/// (a sum over doubled ranks, which are whole), so that it is right with ties, where tables are
/// not. Normal: `z = (W⁺ − Σr/2)/√(Σr²/4)`, which equals the usual corrections for ties and
/// zeros (Lehmann 1975). Assumes independent pairs and, under the null hypothesis, symmetry.
///
/// Errors with `TooFew` without a difference other than 0 (one-sided and two-sided p would be 1),
/// `NonFinite`, `TooLarge`, and `OutOfRange` above 1000 pairs with `Exact`.
pub fn signed_rank(
    differences: &[f64],
    zeros: Zeros,
    distribution: RankDistribution,
) -> Result<SignedRank, StatsError> {
    check_values(differences)?;
    let (positive, negative) = signed_ranks(differences, zeros);
    let n_used = positive.len() + negative.len();
    check_count("a signed-rank test without zeros", 1, n_used)?;
    let w_plus: f64 = positive.iter().sum();
    let w_minus: f64 = negative.iter().sum();
    let ranks = || positive.iter().chain(&negative);
    let (p_greater, p_less) = match distribution {
        RankDistribution::Exact if n_used > EXACT_UP_TO => {
            return Err(StatsError::OutOfRange {
                parameter: "number of pairs",
                value: n_used as f64,
                expected: "at most 1000 for the exact signed-rank distribution",
            });
        }
        RankDistribution::Exact => exact_tails(ranks().copied(), w_plus),
        RankDistribution::Normal { continuity } => {
            let deviation = w_plus - ranks().sum::<f64>() / 2.0;
            let scale = (ranks().map(|rank| rank * rank).sum::<f64>() / 4.0).sqrt();
            let correction = if continuity { 0.5 } else { 0.0 };
            let greater = normal::upper_tail((deviation - correction) / scale);
            (greater, normal::cdf((deviation + correction) / scale))
        }
    };
    let p_two_sided = (2.0 * p_greater.min(p_less)).min(1.0);
    Ok(SignedRank {
        n_used,
        w_plus,
        w_minus,
        p_two_sided,
        p_greater,
        p_less,
    })
}

/// Mid-ranks of the positive and of the negative differences.
fn signed_ranks(differences: &[f64], zeros: Zeros) -> (Vec<f64>, Vec<f64>) {
    let largest = differences
        .iter()
        .fold(0.0, |largest: f64, d| largest.max(d.abs()));
    let tolerance = TIE * largest;
    let mut sorted: Vec<f64> = differences.to_vec();
    if zeros == Zeros::Drop {
        sorted.retain(|d| d.abs() > tolerance);
    }
    sorted.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let (mut positive, mut negative) = (Vec::new(), Vec::new());
    let mut start = 0;
    while start < sorted.len() {
        let first = sorted[start].abs();
        let tied = sorted[start..]
            .iter()
            .take_while(|d| d.abs() - first <= tolerance)
            .count();
        let rank = start as f64 + f64::midpoint(tied as f64, 1.0);
        for difference in &sorted[start..start + tied] {
            if difference.abs() > tolerance {
                (if *difference > 0.0 {
                    &mut positive
                } else {
                    &mut negative
                })
                .push(rank);
            }
        }
        start += tied;
    }
    (positive, negative)
}

/// P(W⁺ ≥ observed) and P(W⁺ ≤ observed) over all signs of the ranks.
fn exact_tails(ranks: impl Iterator<Item = f64>, w_plus: f64) -> (f64, f64) {
    let doubled = |rank: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "mid-ranks of at most 1000 values are halves above 0"
        )]
        let whole = (2.0 * rank).round() as usize;
        whole
    };
    let mut probability = vec![1.0];
    for rank in ranks.map(doubled) {
        let mut next = vec![0.0; probability.len() + rank];
        for (sum, share) in probability.iter().enumerate() {
            next[sum] += 0.5 * share;
            next[sum + rank] += 0.5 * share;
        }
        probability = next;
    }
    let observed = doubled(w_plus);
    (
        probability[observed..].iter().sum(),
        probability[..=observed].iter().sum(),
    )
}

#[cfg(test)]
mod tests {
    use super::{RankDistribution, Zeros, signed_rank};
    use crate::StatsError;

    #[test]
    fn the_smallest_sample_is_counted_by_hand() {
        // Ranks 1, 2, 3 with signs +, +, −: W⁺ = 3; sums ≥ 3 are 5 of 8 and sums ≤ 3 are 5 of 8.
        let test = signed_rank(&[0.1, 0.2, -0.3], Zeros::Drop, RankDistribution::Exact).unwrap();
        assert_eq!((test.w_plus, test.w_minus), (3.0, 3.0));
        assert_eq!(
            (test.p_greater, test.p_less, test.p_two_sided),
            (0.625, 0.625, 1.0)
        );
    }

    #[test]
    fn pratt_s_zeros_push_the_ranks_up() {
        let differences = [0.0, 0.0, 0.1, 0.2];
        let dropped = signed_rank(&differences, Zeros::Drop, RankDistribution::Exact).unwrap();
        let ranked = signed_rank(&differences, Zeros::Pratt, RankDistribution::Exact).unwrap();
        assert_eq!((dropped.w_plus, ranked.w_plus), (3.0, 7.0));
    }

    #[test]
    fn only_zeros_are_an_error() {
        let test = signed_rank(&[0.0; 5], Zeros::Pratt, RankDistribution::Exact);
        assert!(matches!(
            test,
            Err(StatsError::TooFew {
                needed: 1,
                got: 0,
                ..
            })
        ));
    }
}
