use shipworthy_schema::{Aggregate, Aggregation};

use crate::{Criterion, Scale};

/// Means of the same grades that differ only by rounding count as equal.
const ROUNDING: f64 = 1e-9;

/// Returns how judgements of `criterion` become one.
pub(crate) fn rule_of(criterion: &Criterion, aggregate: Aggregate) -> Aggregation {
    match criterion.scale() {
        Scale::Met | Scale::Points(_) => aggregate.met,
        Scale::Levels(_) => aggregate.levels,
    }
}

/// Makes one value of `values`, at least one; their order does not matter.
pub(crate) fn aggregated(rule: Aggregation, values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match rule {
        Aggregation::Mean => mean(&sorted),
        Aggregation::Median => {
            let (lower, upper) = ((sorted.len() - 1) / 2, sorted.len() / 2);
            f64::midpoint(sorted[lower], sorted[upper])
        }
        Aggregation::Majority => {
            let groups: Vec<&[f64]> = sorted.chunk_by(|a, b| b - a <= ROUNDING).collect();
            let most = groups.iter().map(|group| group.len()).max();
            let modes = groups.iter().filter(|group| Some(group.len()) == most);
            mean(&modes.map(|group| group[0]).collect::<Vec<_>>())
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use shipworthy_schema::Aggregation::{self, Majority, Mean, Median};
    use test_case::test_case;

    use super::aggregated;

    #[test_case(Mean, &[1.0, 0.0, 0.0, 0.0] => 0.25)]
    #[test_case(Median, &[1.0, 0.0, 0.5] => 0.5)]
    #[test_case(Median, &[1.0, 0.0, 0.25, 0.75] => 0.5; "two in the middle")]
    #[test_case(Majority, &[1.0, 0.0, 1.0] => 1.0)]
    #[test_case(Majority, &[1.0, 0.0] => 0.5; "tie")]
    #[test_case(Majority, &[0.25, 0.75, 1.0, 0.75, 0.25] => 0.5; "tie of levels")]
    #[test_case(Majority, &[0.5] => 0.5; "one alone")]
    fn values_become_one(rule: Aggregation, values: &[f64]) -> f64 {
        let mut reversed = values.to_vec();
        reversed.reverse();
        assert_eq!(
            aggregated(rule, values).to_bits(),
            aggregated(rule, &reversed).to_bits()
        );
        aggregated(rule, values)
    }
}
