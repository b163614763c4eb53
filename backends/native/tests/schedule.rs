//! Holds learning rates against those of transformers.
//!
//! Its values, the versions and the script that made them lie in `tests/golden/schedules`.

use std::path::Path;

use serde::Deserialize;
use shipworthy_native::{LearningRateSchedule, Warmup};

#[derive(Deserialize)]
struct Case {
    kind: String,
    steps: u64,
    warmup: f64,
    warmup_steps: u64,
    rates: Vec<f64>,
}

#[test]
fn every_step_has_the_rate_that_transformers_gives_it() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/schedules");
    let json = std::fs::read(golden.join("rates.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_slice(&json).unwrap();
    assert_eq!(cases.len(), 36);
    for case in cases {
        let schedule = match case.kind.as_str() {
            "cosine" => LearningRateSchedule::Cosine,
            "linear" => LearningRateSchedule::Linear,
            "constant" => LearningRateSchedule::Constant,
            "constant_with_warmup" => LearningRateSchedule::ConstantWithWarmup,
            other => panic!("{other}"),
        };
        let warmup = if case.warmup < 1.0 {
            Warmup::Ratio(case.warmup)
        } else {
            Warmup::Steps(usize::try_from(case.warmup_steps).unwrap())
        };
        let steps = usize::try_from(case.steps).unwrap();
        let warmup_steps = warmup.steps(steps) as u64;
        assert_eq!(warmup_steps, case.warmup_steps);
        for (step, rate) in (0..=case.steps).zip(case.rates) {
            let found = 2e-4 * schedule.factor(step, warmup_steps, case.steps);
            let says = format!("{}, step {step} of {}", case.kind, case.steps);
            assert!(
                (found - rate).abs() <= 1e-18,
                "{says}: {rate}, found {found}"
            );
        }
    }
}

#[test]
fn nothing_rises_again_after_the_last_step() {
    for schedule in [LearningRateSchedule::Cosine, LearningRateSchedule::Linear] {
        for step in 10..30 {
            assert_eq!(schedule.factor(step, 3, 10), 0.0);
        }
    }
}
