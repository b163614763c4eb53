use crate::StatsError;

/// Returns Holm's adjusted p-values, in the order given.
///
/// `p̃_(i) = max_{j≤i} min(1, (k − j + 1)·p_(j))` over the k sorted p-values (Holm 1979). Rejecting where
/// the adjusted p is below α keeps the chance of any false rejection below α, whatever the
/// dependence between tests. An empty slice gives an empty one. Errors with `OutOfRange` for a p
/// outside 0 to 1.
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>, StatsError> {
    let order = ascending(p_values)?;
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, &index) in order.iter().enumerate() {
        largest = largest.max(((p_values.len() - rank) as f64 * p_values[index]).min(1.0));
        adjusted[index] = largest;
    }
    Ok(adjusted)
}

/// Returns Benjamini and Hochberg's adjusted p-values, in the order given.
///
/// `p̃_(i) = min_{j≥i} min(1, (k/j)·p_(j))` (Benjamini & Hochberg 1995). Controls the expected share of
/// false among all rejections for independent or positively dependent tests: for exploratory
/// tables, not for claims. Same errors as [`holm`].
pub fn benjamini_hochberg(p_values: &[f64]) -> Result<Vec<f64>, StatsError> {
    let order = ascending(p_values)?;
    let mut adjusted = vec![0.0; p_values.len()];
    let mut smallest: f64 = 1.0;
    for (rank, &index) in order.iter().enumerate().rev() {
        smallest = smallest.min(p_values.len() as f64 / (rank + 1) as f64 * p_values[index]);
        adjusted[index] = smallest;
    }
    Ok(adjusted)
}

fn ascending(p_values: &[f64]) -> Result<Vec<usize>, StatsError> {
    if let Some(&value) = p_values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(StatsError::OutOfRange {
            parameter: "p-value",
            value,
            expected: "0 to 1",
        });
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::{benjamini_hochberg, holm};
    use crate::StatsError;

    #[test]
    fn adjusted_values_keep_the_order_of_the_input() {
        assert_eq!(holm(&[0.03, 0.01, 0.04]).unwrap(), [0.06, 0.03, 0.06]);
        assert_eq!(benjamini_hochberg(&[0.04, 0.01]).unwrap(), [0.04, 0.02]);
        assert!(holm(&[]).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        for value in [-0.1, 1.1, f64::NAN] {
            assert!(matches!(
                holm(&[0.1, value]),
                Err(StatsError::OutOfRange { .. })
            ));
        }
    }
}
