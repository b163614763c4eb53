//! All models by mean score, and which of them are statistically tied.

use std::collections::BTreeSet;

use shipworthy_schema::{ModelName, ModelPair, RankedModel, Ranking};
use shipworthy_stats::holm;

use super::arm::{Arm, count, mean, overall};

/// Ranks `arms`; two models are told apart where the adjusted p of their pair is below `alpha`.
pub(super) fn ranking(arms: &[&Arm<'_>], alpha: f64) -> Ranking {
    let mut places: Vec<(&Arm<'_>, f64)> = arms
        .iter()
        .map(|arm| {
            let means: Vec<f64> = arm.persona_means(overall).into_values().collect();
            (*arm, mean(&means))
        })
        .collect();
    places.sort_by(|(a, x), (b, y)| y.total_cmp(x).then(a.model.cmp(b.model)));
    let pairs = all_pairs(&places);
    let told_apart: BTreeSet<(&ModelName, &ModelName)> = pairs
        .iter()
        .filter(|pair| pair.p_adjusted.is_some_and(|p| p < alpha))
        .map(|pair| (&pair.higher, &pair.lower))
        .collect();
    let is_better =
        |a: usize, b: usize| told_apart.contains(&(places[a].0.model, places[b].0.model));
    let ranked = |own: usize| {
        let is_tied = |other: usize| other != own && !is_better(own.min(other), own.max(other));
        let tied = (0..places.len()).filter(|other| is_tied(*other));
        RankedModel {
            rank: 1 + count((0..own).filter(|other| is_better(*other, own)).count()),
            model: places[own].0.model.clone(),
            mean: places[own].1,
            tied_with: tied.map(|other| places[other].0.model.clone()).collect(),
        }
    };
    let models: Vec<RankedModel> = (0..places.len()).map(ranked).collect();
    let tied_sets = runs_without(places.len(), is_better)
        .into_iter()
        .map(|(first, last)| {
            let run = models[first..=last].iter();
            run.map(|ranked| ranked.model.clone()).collect()
        })
        .collect();
    Ranking {
        alpha,
        models,
        tied_sets,
        pairs,
    }
}

fn all_pairs(places: &[(&Arm<'_>, f64)]) -> Vec<ModelPair> {
    let mut pairs = Vec::new();
    for (place, (higher, _)) in places.iter().enumerate() {
        for (lower, _) in &places[place + 1..] {
            let of_both = higher.pairs(lower, overall);
            let test = of_both.test();
            pairs.push(ModelPair {
                higher: higher.model.clone(),
                lower: lower.model.clone(),
                difference: mean(&of_both.differences()),
                p_value: test.as_ref().ok().map(|test| test.p_two_sided),
                p_adjusted: None,
                untested: test.err().map(|error| error.to_string()),
            });
        }
    }
    let p_values: Vec<f64> = pairs.iter().filter_map(|pair| pair.p_value).collect();
    let adjusted = holm(&p_values).expect("tests give p-values from 0 to 1");
    let tested = pairs.iter_mut().filter(|pair| pair.p_value.is_some());
    for (pair, p) in tested.zip(adjusted) {
        pair.p_adjusted = Some(p);
    }
    pairs
}

/// Returns the longest runs of neighbours in which `is_better` holds for no pair: first place and last.
fn runs_without(n: usize, is_better: impl Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for start in 0..n {
        let fits = |end: &usize| (start..*end).all(|place| !is_better(place, *end));
        let end = (start + 1..n).take_while(fits).last().unwrap_or(start);
        if runs.last().is_none_or(|last| end > last.1) {
            runs.push((start, end));
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::runs_without;

    #[test]
    fn runs_overlap_and_none_holds_another() {
        // Only the first is better than the last two, and the second than the last.
        let apart = |a: usize, b: usize| matches!((a, b), (0, 2 | 3) | (1, 3));
        assert_eq!(runs_without(4, apart), [(0, 1), (1, 2), (2, 3)]);
        assert_eq!(runs_without(3, |_, _| false), [(0, 2)]);
        assert_eq!(runs_without(3, |_, _| true), [(0, 0), (1, 1), (2, 2)]);
        assert!(runs_without(0, |_, _| true).is_empty());
    }
}
