use crate::StatsError;
use crate::error::{check_count, check_lengths};
use crate::sample::check_values;

/// What differences between two ratings mean to Krippendorff's alpha.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measurement {
    /// Categories: equal or not.
    Nominal,
    /// Ranks: how many ratings lie between.
    Ordinal,
    /// Numbers: the square of their difference.
    Interval,
}

/// Returns Krippendorff's alpha of any number of raters, with ratings missing.
///
/// `ratings`: one slice per rater, one entry per item in the same order, `None` where a rater gave
/// none. `α = 1 − (n − 1)·Σ o·δ²/Σ n_c·n_k·δ²` over the coincidences o of values within items, items
/// with fewer than two ratings left out (Krippendorff 2019, ch. 12). Ordinal δ sums the ratings of
/// the values from c to k, those of the ends half. 1 is full agreement, 0 what chance gives.
///
/// Errors with `TooFew` below two raters or without an item rated twice, `LengthMismatch`,
/// `NonFinite` and `TooLarge` with the item's index, `Undefined` if all ratings are the same.
pub fn krippendorff_alpha(
    ratings: &[impl AsRef<[Option<f64>]>],
    measurement: Measurement,
) -> Result<f64, StatsError> {
    check_count("Krippendorff's alpha", 2, ratings.len())?;
    let n_items = ratings[0].as_ref().len();
    for rater in ratings {
        check_lengths(
            ("first rater's ratings", n_items),
            ("a rater's", rater.as_ref().len()),
        )?;
        // A missing rating stands in as 0 here, so that an index still names its item.
        let values: Vec<f64> = rater
            .as_ref()
            .iter()
            .map(|rating| rating.unwrap_or(0.0))
            .collect();
        check_values(&values)?;
    }
    // Adding 0 turns −0 into 0, which total order would tell apart.
    let of_item = |item: usize| -> Vec<f64> {
        ratings
            .iter()
            .filter_map(|rater| rater.as_ref()[item])
            .map(|value| value + 0.0)
            .collect()
    };
    let items: Vec<Vec<f64>> = (0..n_items)
        .map(of_item)
        .filter(|item| item.len() > 1)
        .collect();
    check_count("items rated twice", 1, items.len())?;
    let mut values: Vec<f64> = items.concat();
    values.sort_by(f64::total_cmp);
    values.dedup();
    let position = |value: &f64| values.partition_point(|other| other < value);
    let mut coincidences = vec![vec![0.0; values.len()]; values.len()];
    for item in &items {
        let weight = 1.0 / (item.len() - 1) as f64;
        for (first, a) in item.iter().enumerate() {
            for (second, b) in item.iter().enumerate() {
                if first != second {
                    coincidences[position(a)][position(b)] += weight;
                }
            }
        }
    }
    let counts: Vec<f64> = coincidences.iter().map(|row| row.iter().sum()).collect();
    let n: f64 = counts.iter().sum();
    let (mut observed, mut expected) = (0.0, 0.0);
    for (c, row) in coincidences.iter().enumerate() {
        for (k, coincidence) in row.iter().enumerate() {
            let distance = match measurement {
                Measurement::Nominal => f64::from(u8::from(c != k)),
                Measurement::Ordinal => {
                    let between: f64 = counts[c.min(k)..=c.max(k)].iter().sum();
                    between - f64::midpoint(counts[c], counts[k])
                }
                Measurement::Interval => values[c] - values[k],
            };
            observed += coincidence * distance * distance;
            expected += counts[c] * counts[k] * distance * distance;
        }
    }
    if expected == 0.0 {
        let reason = "all ratings are the same";
        return Err(StatsError::Undefined {
            what: "Krippendorff's alpha",
            reason,
        });
    }
    Ok(1.0 - (n - 1.0) * observed / expected)
}

#[cfg(test)]
mod tests {
    use super::{Measurement, krippendorff_alpha};
    use crate::StatsError;

    #[test]
    fn the_textbook_example_has_its_published_alpha() {
        // Krippendorff 2011, "Computing Krippendorff's alpha-reliability", section C.
        let rows = [
            "123321412...",
            "1233224125.3",
            ".3332342251.",
            "12332441251.",
        ];
        let ratings: Vec<Vec<Option<f64>>> = rows
            .iter()
            .map(|row| {
                row.chars()
                    .map(|rating| rating.to_digit(10).map(f64::from))
                    .collect()
            })
            .collect();
        let alpha = |measurement| krippendorff_alpha(&ratings, measurement).unwrap();
        assert!((alpha(Measurement::Nominal) - 0.743_421_052_6).abs() < 1e-9);
        assert!((alpha(Measurement::Ordinal) - 0.815).abs() < 5e-4);
        assert!((alpha(Measurement::Interval) - 0.849).abs() < 5e-4);
    }

    #[test]
    fn ratings_without_an_answer_are_errors() {
        let alpha = |ratings: &[&[Option<f64>]]| krippendorff_alpha(ratings, Measurement::Nominal);
        let once: &[Option<f64>] = &[Some(1.0), None];
        let never: &[Option<f64>] = &[None, Some(1.0)];
        assert!(matches!(
            alpha(&[once, never]),
            Err(StatsError::TooFew { .. })
        ));
        assert!(matches!(
            alpha(&[once, once]),
            Err(StatsError::Undefined { .. })
        ));
        assert!(matches!(alpha(&[once]), Err(StatsError::TooFew { .. })));
        assert!(matches!(
            alpha(&[once, &[None]]),
            Err(StatsError::LengthMismatch { .. })
        ));
        let nan: &[Option<f64>] = &[Some(1.0), Some(f64::NAN)];
        assert!(matches!(
            alpha(&[once, nan]),
            Err(StatsError::NonFinite { index: 1, .. })
        ));
    }
}
