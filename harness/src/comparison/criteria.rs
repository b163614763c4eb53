//! Criteria and categories: secondary, each tested by itself, none of them decides.

use std::collections::BTreeSet;

use shipworthy_schema::{
    CategoryComparison, ConversationScore, CriterionComparison, CriterionScore,
};
use shipworthy_stats::holm;

use super::arm::{Arm, count, mean, of_criterion};

impl Arm<'_> {
    /// Compares every criterion that both arms have scored with a persona; p-values are adjusted for
    /// all of them that can be tested.
    pub(super) fn criteria(&self, base: &Self) -> Vec<CriterionComparison> {
        let outline = self.outline(base);
        let mut criteria: Vec<CriterionComparison> = outline
            .into_iter()
            .filter_map(|criterion| self.criterion(base, criterion))
            .collect();
        let p_values: Vec<f64> = criteria.iter().filter_map(|c| c.p_value).collect();
        let adjusted = holm(&p_values).expect("tests give p-values from 0 to 1");
        let tested = criteria.iter_mut().filter(|c| c.p_value.is_some());
        for (criterion, p) in tested.zip(adjusted) {
            criterion.p_adjusted = Some(p);
        }
        criteria
    }

    fn criterion(&self, base: &Self, outline: &CriterionScore) -> Option<CriterionComparison> {
        let pairs = self.pairs(base, of_criterion(&outline.criterion));
        let [baseline_mean, mean] = pairs.means()?;
        let test = pairs.test();
        Some(CriterionComparison {
            criterion: outline.criterion.clone(),
            category: outline.category.clone(),
            safety: outline.safety,
            personas: count(pairs.0.len()),
            baseline_mean,
            mean,
            difference: mean - baseline_mean,
            ci95: test.as_ref().ok().map(|test| test.ci.ends()),
            p_value: test.as_ref().ok().map(|test| test.p_two_sided),
            p_adjusted: None,
            untested: test.err().map(|error| error.to_string()),
        })
    }

    /// Compares every category that both arms have scored with a persona.
    pub(super) fn categories(&self, base: &Self) -> Vec<CategoryComparison> {
        let mut seen = BTreeSet::new();
        let outline = self.outline(base);
        let names = outline.iter().map(|c| c.category.as_str());
        let compare = |category: &str| {
            let of_category = |score: &ConversationScore| {
                let of_category = score.criteria.iter().filter(|c| c.category == category);
                let values: Vec<f64> = of_category.filter_map(|c| c.outcome.value()).collect();
                (!values.is_empty()).then(|| mean(&values))
            };
            let [baseline_mean, mean] = self.pairs(base, of_category).means()?;
            Some(CategoryComparison {
                category: category.to_owned(),
                baseline_mean,
                mean,
                difference: mean - baseline_mean,
            })
        };
        names
            .filter(|name| seen.insert(*name))
            .filter_map(compare)
            .collect()
    }
}
