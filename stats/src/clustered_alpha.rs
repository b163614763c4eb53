use crate::bootstrap::quantile;
use crate::error::{check_count, check_open_unit};
use crate::sample::check_values;
use crate::{Interval, Random, StatsError};

/// Expected disagreement below this share of the values' squares is what rounding left of 0.
const RELATIVE_ZERO: f64 = 1e-12;

/// Share of resamples without an alpha above which there is no interval.
const MOST_UNDEFINED: f64 = 0.05;

/// Krippendorff's alpha for interval data, with an interval that respects clusters of items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClusteredAlpha {
    /// The alpha of all items.
    pub alpha: f64,
    /// The percentile interval; `None` if more than 5 % of the resamples have no alpha, because all
    /// their ratings are the same.
    pub ci: Option<Interval>,
    /// Items rated twice or more.
    pub n_items: usize,
}

/// Estimates Krippendorff's alpha of ratings of items that come in clusters.
///
/// `clusters`: for each cluster (a persona) its items (conversations), for each item its ratings in
/// any order; items with fewer than two are left out. `α = 1 − (n − 1)·D/(2·(n·Σv² − (Σv)²))` with
/// n ratings v and `D = Σ_items Σ_{i≠j} (v_i − v_j)²/(m − 1)` over the m ratings of an item: what
/// [`krippendorff_alpha`](crate::krippendorff_alpha) gives for `Measurement::Interval`. The interval
/// has the quantiles at (1 ± level)/2 of `resamples` resamples of whole clusters, those without an
/// alpha left out; the order of clusters and the seed fix the draws.
///
/// Errors with `TooFew` without an item rated twice, below two clusters that have one or below 100
/// resamples, `NonFinite` and `TooLarge` with the rating's index within its item, `OutOfRange` for
/// the level, `Undefined` if all ratings are the same.
pub fn clustered_alpha(
    clusters: &[Vec<Vec<f64>>],
    resamples: usize,
    level: f64,
    seed: u64,
) -> Result<ClusteredAlpha, StatsError> {
    check_open_unit("confidence level", level)?;
    check_count("the resamples of a bootstrap", 100, resamples)?;
    let sums: Vec<Sums> = clusters
        .iter()
        .map(|items| Sums::of(items))
        .collect::<Result<_, _>>()?;
    let sums: Vec<Sums> = sums.into_iter().filter(|sums| sums.items > 0).collect();
    check_count("items rated twice", 1, sums.len())?;
    let all = sums.iter().fold(Sums::default(), Sums::and);
    let alpha = all.alpha().ok_or(StatsError::Undefined {
        what: "Krippendorff's alpha",
        reason: "all ratings are the same",
    })?;
    check_count("a cluster bootstrap", 2, sums.len())?;
    let mut random = Random::new(seed);
    let mut drawn: Vec<f64> = (0..resamples)
        .filter_map(|_| {
            let draw = |_| &sums[random.below(sums.len())];
            (0..sums.len())
                .map(draw)
                .fold(Sums::default(), Sums::and)
                .alpha()
        })
        .collect();
    let undefined = resamples - drawn.len();
    drawn.sort_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    let ci = (undefined as f64 <= MOST_UNDEFINED * resamples as f64).then(|| Interval {
        lower: quantile(&drawn, tail),
        upper: quantile(&drawn, 1.0 - tail),
        level,
    });
    Ok(ClusteredAlpha {
        alpha,
        ci,
        n_items: all.items,
    })
}

/// What alpha needs of a set of items; sums of sets are sums of these.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    items: usize,
    ratings: f64,
    disagreement: f64,
    total: f64,
    squares: f64,
}

impl Sums {
    fn of(items: &[Vec<f64>]) -> Result<Self, StatsError> {
        let mut sums = Self::default();
        for item in items.iter().filter(|item| item.len() > 1) {
            check_values(item)?;
            let pairs = item
                .iter()
                .flat_map(|a| item.iter().map(move |b| (a - b).powi(2)));
            sums.items += 1;
            sums.ratings += item.len() as f64;
            sums.disagreement += pairs.sum::<f64>() / (item.len() - 1) as f64;
            sums.total += item.iter().sum::<f64>();
            sums.squares += item.iter().map(|value| value * value).sum::<f64>();
        }
        Ok(sums)
    }

    fn and(self, other: &Self) -> Self {
        Self {
            items: self.items + other.items,
            ratings: self.ratings + other.ratings,
            disagreement: self.disagreement + other.disagreement,
            total: self.total + other.total,
            squares: self.squares + other.squares,
        }
    }

    fn alpha(&self) -> Option<f64> {
        let scale = self.ratings * self.squares;
        let expected = 2.0 * (scale - self.total * self.total);
        let varies = expected > RELATIVE_ZERO * scale;
        varies.then(|| 1.0 - (self.ratings - 1.0) * self.disagreement / expected)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::clustered_alpha;
    use crate::{Measurement, StatsError, krippendorff_alpha};

    proptest! {
        #[test]
        fn it_is_the_alpha_of_all_items(
            items in prop::collection::vec(prop::collection::vec(0..=4_u8, 3), 4..30),
        ) {
            let value = |rating: &u8| f64::from(*rating) / 4.0;
            let rows: Vec<Vec<Option<f64>>> = (0..3)
                .map(|rater| items.iter().map(|item| Some(value(&item[rater]))).collect())
                .collect();
            let clusters: Vec<Vec<Vec<f64>>> = items
                .chunks(2)
                .map(|items| items.iter().map(|item| item.iter().map(value).collect()).collect())
                .collect();
            match (
                krippendorff_alpha(&rows, Measurement::Interval),
                clustered_alpha(&clusters, 200, 0.95, 1),
            ) {
                (Ok(expected), Ok(found)) => {
                    prop_assert!((found.alpha - expected).abs() < 1e-9);
                    prop_assert_eq!(found.n_items, items.len());
                    if let Some(ci) = found.ci {
                        prop_assert!(ci.lower <= ci.upper && ci.upper <= 1.0);
                    }
                }
                (Err(_), Err(_)) => {}
                (expected, found) => prop_assert!(false, "{:?} {:?}", expected, found),
            }
        }
    }

    #[test]
    fn what_has_no_alpha_is_an_error_and_what_hardly_has_one_has_no_interval() {
        let of = |clusters: &[Vec<Vec<f64>>]| clustered_alpha(clusters, 400, 0.95, 1);
        let same = vec![vec![1.0, 1.0]];
        assert!(matches!(of(&[]), Err(StatsError::TooFew { .. })));
        assert!(matches!(
            of(&[vec![vec![1.0]]]),
            Err(StatsError::TooFew { .. })
        ));
        let equal = of(&[same.clone(), same.clone()]);
        assert!(matches!(equal, Err(StatsError::Undefined { .. })));
        let alone = of(&[vec![vec![1.0, 0.0], vec![0.0, 0.0]]]);
        assert!(matches!(alone, Err(StatsError::TooFew { .. })));
        let nan = of(&[vec![vec![f64::NAN, 0.0]], same.clone()]);
        assert!(matches!(nan, Err(StatsError::NonFinite { .. })));
        // Only the last cluster has another rating; without it a resample has no alpha.
        let rare = of(&[same.clone(), same.clone(), same, vec![vec![0.0, 0.0]]]).unwrap();
        assert_eq!((rare.alpha, rare.ci, rare.n_items), (1.0, None, 4));
    }
}
