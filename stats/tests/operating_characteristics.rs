//! The primary test errs as often as it says, whatever the correlation within a persona.

#![expect(
    clippy::unwrap_used,
    reason = "generated tests are not recognised as tests"
)]

#[path = "../examples/operating_characteristics/simulation.rs"]
mod simulation;

use test_case::test_case;

// The naive test's error, 5 % only without correlation, shows that the simulation has clusters.
#[test_case(0.0, 0.04..0.06)]
#[test_case(0.2, 0.08..0.12)]
#[test_case(0.5, 0.15..0.20)]
#[test_case(0.8, 0.21..0.26)]
fn error_rates_are_nominal(icc: f64, naive: std::ops::Range<f64>) {
    let rates = simulation::rates(icc, 20_000, 20_261_121).unwrap();
    assert!((rates.type_1 - 0.05).abs() <= 0.005, "{rates:?}");
    assert!((rates.coverage - 0.95).abs() <= 0.005, "{rates:?}");
    assert!(rates.sequential_type_1 <= 0.055, "{rates:?}");
    assert!(naive.contains(&rates.naive_type_1), "{rates:?}");
    assert_eq!(rates.icc, icc);
}
