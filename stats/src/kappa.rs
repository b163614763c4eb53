use crate::StatsError;
use crate::error::{check_count, check_lengths};

/// How far apart two ratings are for Cohen's kappa.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KappaWeights {
    /// Any two different categories disagree fully.
    Equal,
    /// By the square of the distance between ordered categories.
    Quadratic,
}

/// Returns Cohen's kappa of two raters.
///
/// `first`, `second`: the category of each item, 0 to `n_categories` − 1, in order for quadratic weights.
/// `κ = 1 − Σ w·o/Σ w·e` with shares observed o and expected e from each rater's own margins (Cohen
/// 1960, 1968). Near 0 despite high agreement if one category prevails: read it beside
/// [`gwet_ac1`](crate::gwet_ac1).
///
/// Errors with `TooFew` without an item or below two categories, `LengthMismatch`, `OutOfRange` for
/// a category that does not exist, `Undefined` if both raters gave every item one same category.
pub fn cohens_kappa(
    first: &[usize],
    second: &[usize],
    n_categories: usize,
    weights: KappaWeights,
) -> Result<f64, StatsError> {
    let table = contingency(first, second, n_categories)?;
    let n = first.len() as f64;
    let rows: Vec<f64> = table.iter().map(|row| row.iter().sum()).collect();
    let columns: Vec<f64> = (0..n_categories)
        .map(|column| table.iter().map(|row| row[column]).sum())
        .collect();
    let (mut observed, mut expected) = (0.0, 0.0);
    for (row, counts) in table.iter().enumerate() {
        for (column, count) in counts.iter().enumerate() {
            let distance = row.abs_diff(column) as f64;
            let weight = match weights {
                KappaWeights::Equal => distance.min(1.0),
                KappaWeights::Quadratic => distance * distance,
            };
            observed += weight * count;
            expected += weight * rows[row] * columns[column] / n;
        }
    }
    if expected == 0.0 {
        let reason = "both raters used one and the same category throughout";
        return Err(StatsError::Undefined {
            what: "Cohen's kappa",
            reason,
        });
    }
    Ok(1.0 - observed / expected)
}

/// Counts how often each pair of categories came up.
pub(crate) fn contingency(
    first: &[usize],
    second: &[usize],
    n_categories: usize,
) -> Result<Vec<Vec<f64>>, StatsError> {
    check_count("a rating scale", 2, n_categories)?;
    check_lengths(
        ("first ratings", first.len()),
        ("second ratings", second.len()),
    )?;
    check_count("agreement of two raters", 1, first.len())?;
    if let Some(&category) = first
        .iter()
        .chain(second)
        .find(|&&rating| rating >= n_categories)
    {
        return Err(StatsError::OutOfRange {
            parameter: "category",
            value: category as f64,
            expected: "less than the number of categories",
        });
    }
    let mut table = vec![vec![0.0; n_categories]; n_categories];
    for (&row, &column) in first.iter().zip(second) {
        table[row][column] += 1.0;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::{KappaWeights, cohens_kappa};
    use crate::StatsError;

    #[test]
    fn agreement_runs_from_full_to_opposite() {
        let kappa = |second: &[usize]| cohens_kappa(&[0, 1, 0, 1], second, 2, KappaWeights::Equal);
        assert_eq!(kappa(&[0, 1, 0, 1]), Ok(1.0));
        assert_eq!(kappa(&[1, 0, 1, 0]), Ok(-1.0));
        assert_eq!(kappa(&[0, 0, 1, 1]), Ok(0.0));
    }

    #[test]
    fn ratings_without_an_answer_are_errors() {
        let kappa = |a: &[usize], b: &[usize]| cohens_kappa(a, b, 2, KappaWeights::Quadratic);
        assert!(matches!(
            kappa(&[1, 1], &[1, 1]),
            Err(StatsError::Undefined { .. })
        ));
        assert!(matches!(
            kappa(&[1], &[2]),
            Err(StatsError::OutOfRange { .. })
        ));
        assert!(matches!(
            kappa(&[1], &[]),
            Err(StatsError::LengthMismatch { .. })
        ));
        assert!(matches!(kappa(&[], &[]), Err(StatsError::TooFew { .. })));
    }
}
