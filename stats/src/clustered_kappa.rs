use crate::bootstrap::quantile;
use crate::error::{check_count, check_open_unit};
use crate::{Interval, KappaWeights, Random, StatsError, cohens_kappa};

/// Share of resamples without a kappa above which there is no interval.
const MOST_UNDEFINED: f64 = 0.05;

/// Cohen's kappa, with an interval that respects clusters of items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClusteredKappa {
    /// The kappa of all items.
    pub kappa: f64,
    /// The percentile interval; `None` below two clusters, or if more than 5 % of the resamples have
    /// no kappa, because all their ratings are the same.
    pub ci: Option<Interval>,
    /// Items rated by both.
    pub n_items: usize,
}

/// Estimates Cohen's kappa of pairs of ratings that come in clusters.
///
/// `clusters`: for each cluster (a persona) its pairs (first rating, second rating), each category
/// from 0 to `n_categories` − 1. The kappa is that of [`cohens_kappa`] over all pairs. The interval
/// has the quantiles at (1 ± level)/2 of `resamples` resamples of whole clusters, those without a
/// kappa left out; the order of clusters and the seed fix the draws. Empty clusters are left out.
///
/// Errors with `TooFew` without a pair, below two categories or below 100 resamples, `OutOfRange` for
/// a category that does not exist and for the level, `Undefined` as there.
pub fn clustered_kappa(
    clusters: &[Vec<(usize, usize)>],
    n_categories: usize,
    weights: KappaWeights,
    (resamples, level): (usize, f64),
    seed: u64,
) -> Result<ClusteredKappa, StatsError> {
    check_open_unit("confidence level", level)?;
    check_count("the resamples of a bootstrap", 100, resamples)?;
    let clusters: Vec<&[(usize, usize)]> = clusters
        .iter()
        .map(Vec::as_slice)
        .filter(|pairs| !pairs.is_empty())
        .collect();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let mut of = |chosen: &mut dyn Iterator<Item = &[(usize, usize)]>| {
        first.clear();
        second.clear();
        for (a, b) in chosen.flatten() {
            first.push(*a);
            second.push(*b);
        }
        cohens_kappa(&first, &second, n_categories, weights)
    };
    let kappa = of(&mut clusters.iter().copied())?;
    let n_items = clusters.iter().map(|pairs| pairs.len()).sum();
    let n = clusters.len();
    let mut random = Random::new(seed);
    let mut drawn: Vec<f64> = (0..resamples)
        .filter_map(|_| {
            let chosen: Vec<usize> = (0..n).map(|_| random.below(n)).collect();
            of(&mut chosen.iter().map(|&at| clusters[at])).ok()
        })
        .collect();
    drawn.sort_by(f64::total_cmp);
    let undefined = resamples - drawn.len();
    let tail = (1.0 - level) / 2.0;
    let is_defined = n > 1 && undefined as f64 <= MOST_UNDEFINED * resamples as f64;
    let ci = is_defined.then(|| Interval {
        lower: quantile(&drawn, tail),
        upper: quantile(&drawn, 1.0 - tail),
        level,
    });
    Ok(ClusteredKappa { kappa, ci, n_items })
}

#[cfg(test)]
mod tests {
    use super::clustered_kappa;
    use crate::{KappaWeights, Random, StatsError};

    fn kappa(clusters: &[Vec<(usize, usize)>]) -> Result<super::ClusteredKappa, StatsError> {
        clustered_kappa(clusters, 2, KappaWeights::Equal, (400, 0.95), 1)
    }

    /// Draws clusters of two raters who give the truth, a fair coin, with chance 0.9 each: their kappa
    /// is 0.8² = 0.64. Each cluster's truth is one, so its two items hang together.
    fn draw(n: usize, random: &mut Random) -> Vec<Vec<(usize, usize)>> {
        let mut coin = |chance: f64| usize::from(random.uniform() < chance);
        let mut cluster = || {
            let truth = coin(0.5);
            let mut rating = || if coin(0.9) == 1 { truth } else { 1 - truth };
            vec![(rating(), rating()), (rating(), rating())]
        };
        (0..n).map(|_| cluster()).collect()
    }

    #[test]
    fn the_interval_covers_at_about_its_level() {
        let mut random = Random::new(7);
        let covered = (0..400)
            .filter(|_| {
                let found = kappa(&draw(40, &mut random)).unwrap();
                found.ci.unwrap().contains(0.64)
            })
            .count();
        assert!((364..=396).contains(&covered), "{covered} of 400");
    }

    #[test]
    fn what_has_no_kappa_is_an_error_and_what_hardly_has_one_has_no_interval() {
        assert!(matches!(kappa(&[]), Err(StatsError::TooFew { .. })));
        let same = vec![vec![(1, 1)], vec![(1, 1)]];
        assert!(matches!(kappa(&same), Err(StatsError::Undefined { .. })));
        let wrong = kappa(&[vec![(0, 2)]]);
        assert!(matches!(wrong, Err(StatsError::OutOfRange { .. })));
        let alone = kappa(&[vec![(0, 0), (1, 1)], Vec::new()]).unwrap();
        assert_eq!((alone.kappa, alone.ci, alone.n_items), (1.0, None, 2));
        // Only the last cluster has another rating; without it a resample has no kappa.
        let rare = kappa(&[vec![(1, 1)], vec![(1, 1)], vec![(1, 1)], vec![(0, 0)]]).unwrap();
        assert_eq!((rare.kappa, rare.ci), (1.0, None));
    }
}
