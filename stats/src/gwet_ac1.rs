use crate::StatsError;
use crate::kappa::contingency;

/// Returns Gwet's AC1 of two raters.
///
/// `(p_o − p_e)/(1 − p_e)` with `p_e = Σ π(1 − π)/(K − 1)` over K categories, π the mean of both raters'
/// shares (Gwet 2008). Unlike kappa it stays near the observed agreement if one category prevails.
/// Ratings as in [`cohens_kappa`](crate::cohens_kappa); the same errors but `Undefined`, as AC1
/// always exists.
pub fn gwet_ac1(first: &[usize], second: &[usize], n_categories: usize) -> Result<f64, StatsError> {
    let table = contingency(first, second, n_categories)?;
    let n = first.len() as f64;
    let (mut agreement, mut chance) = (0.0, 0.0);
    for category in 0..n_categories {
        let row: f64 = table[category].iter().sum();
        let column: f64 = table.iter().map(|row| row[category]).sum();
        let share = (row + column) / (2.0 * n);
        agreement += table[category][category] / n;
        chance += share * (1.0 - share) / (n_categories - 1) as f64;
    }
    Ok((agreement - chance) / (1.0 - chance))
}

#[cfg(test)]
mod tests {
    use super::gwet_ac1;

    #[test]
    fn one_prevailing_category_does_not_hide_agreement() {
        // 118 of 125 items agree on the category 1, none on 0: π = (5 + 2)/250 = 0.028 and
        // AC1 = (0.944 − 2·0.028·0.972)/(1 − 2·0.028·0.972).
        let ratings = |zeros: std::ops::Range<usize>| -> Vec<usize> {
            (0..125)
                .map(|item| usize::from(!zeros.contains(&item)))
                .collect()
        };
        let chance: f64 = 2.0 * 0.028 * 0.972;
        let expected = (0.944 - chance) / (1.0 - chance);
        let found = gwet_ac1(&ratings(0..5), &ratings(5..7), 2).unwrap();
        assert!((found - expected).abs() < 1e-14, "{found} {expected}");
        assert_eq!(gwet_ac1(&[1, 1], &[1, 1], 2), Ok(1.0));
    }
}
