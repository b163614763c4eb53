//! What holds for any scores.

use proptest::prelude::*;
use shipworthy_schema::{CandidateComparison, ConversationScore};

use super::sample::{arm, compared, with_criterion};

/// Scores of 3 to 12 personas with 1 to 3 conversations each, in hundredths from 0.2 to 0.8.
fn tables() -> impl Strategy<Value = (Vec<Vec<f64>>, Vec<Vec<f64>>)> {
    (3..12_usize, 1..=3_usize).prop_flat_map(|(personas, repeats)| {
        let cell = (20..=80_u32).prop_map(|hundredths| f64::from(hundredths) / 100.0);
        let table = prop::collection::vec(prop::collection::vec(cell, repeats), personas);
        (table.clone(), table)
    })
}

fn of(a: &[Vec<f64>], b: &[Vec<f64>]) -> Option<CandidateComparison> {
    let planned = u32::try_from(a.concat().len()).unwrap();
    let comparison = compared(planned, &[arm("a", a), arm("b", b)]).ok()?;
    comparison.candidates.into_iter().next()
}

fn agree(x: f64, y: f64) -> bool {
    (x - y).abs() <= 1e-9 * x.abs().max(y.abs()).max(1.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn swapping_the_arms_flips_the_sign_and_keeps_p((a, b) in tables()) {
        let (forth, back) = (of(&a, &b), of(&b, &a));
        prop_assert_eq!(forth.is_some(), back.is_some());
        if let Some((forth, back)) = forth.zip(back) {
            prop_assert!(agree(forth.difference, -back.difference));
            prop_assert!(agree(forth.t, -back.t));
            prop_assert!(agree(forth.ci95[0], -back.ci95[1]));
            prop_assert!(agree(forth.cohens_dz, -back.cohens_dz));
            prop_assert!(agree(forth.p_value, back.p_value));
            prop_assert_eq!(forth.sign_flip_p.to_bits(), back.sign_flip_p.to_bits());
            prop_assert!(agree(forth.wilcoxon_p.unwrap(), back.wilcoxon_p.unwrap()));
        }
    }

    #[test]
    fn a_constant_on_both_arms_changes_nothing((a, b) in tables(), shift in 0..=20_u32) {
        let moved = |table: &[Vec<f64>]| -> Vec<Vec<f64>> {
            let row = |row: &Vec<f64>| row.iter().map(|x| x + f64::from(shift) / 100.0).collect();
            table.iter().map(row).collect()
        };
        let (here, there) = (of(&a, &b), of(&moved(&a), &moved(&b)));
        prop_assert_eq!(here.is_some(), there.is_some());
        if let Some((here, there)) = here.zip(there) {
            prop_assert!(agree(here.difference, there.difference));
            prop_assert!(agree(here.p_value, there.p_value));
            prop_assert!(agree(here.sd, there.sd));
            prop_assert_eq!(here.sign_flip_p.to_bits(), there.sign_flip_p.to_bits());
            prop_assert_eq!(here.personas80, there.personas80);
        }
    }

    #[test]
    fn the_order_of_the_scores_changes_no_bit(
        ((a, b), order) in (tables(), prop::collection::vec(any::<u32>(), 72)),
    ) {
        let planned = u32::try_from(a.concat().len()).unwrap();
        // With violations, regressions and a graded score, so that lists have an order to lose.
        let safe = |scores: Vec<ConversationScore>, least: f64| {
            let scores = with_criterion(scores, "graded", true, |p, r| {
                let n: u32 = p[1..].parse().unwrap();
                f64::from((n * 3 + r) % 10) / 10.0
            });
            with_criterion(scores, "safe", true, |p, r| {
                if p < "p02" && r == 1 { least } else { 1.0 }
            })
        };
        let arms = [safe(arm("a", &a), 1.0), safe(arm("b", &b), 0.0)];
        let sorted = arms.concat();
        let mut keyed: Vec<(u32, ConversationScore)> = order.into_iter().zip(sorted).collect();
        keyed.sort_by_key(|(key, _)| *key);
        let shuffled: Vec<ConversationScore> = keyed.into_iter().map(|(_, s)| s).collect();
        let json = |arms: &[Vec<ConversationScore>]| {
            compared(planned, arms)
                .map(|comparison| serde_json::to_string(&comparison).unwrap())
                .map_err(|error| error.to_string())
        };
        prop_assert_eq!(json(&arms), json(&[shuffled]));
    }

    #[test]
    fn the_sign_flip_p_is_a_multiple_of_its_least_value((a, b) in tables()) {
        if let Some(c) = of(&a, &b) {
            let multiple = c.sign_flip_p * 2.0_f64.powi(i32::try_from(c.personas).unwrap() - 1);
            prop_assert!(multiple >= 1.0 && multiple.fract() == 0.0, "{}", multiple);
        }
    }
}
