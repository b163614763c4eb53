//! Estimates, tests and intervals over slices of numbers.
//!
//! Slices in, estimates out: this crate knows no conversation, no persona and no verdict. Every
//! function returns a number or a [`StatsError`], never NaN; whatever draws at random takes a seed.
//! Formulas, sources and departures are collected in `docs/statistics.md`.

mod error;
mod random;
mod sample;

mod noncentral_t;
mod normal;
mod root;
mod student_t;

mod clustered;
mod effect_size;
mod non_inferiority;
mod paired_regression;
mod paired_t;
mod sign_flip;
mod signed_rank;
mod variance_components;

mod bootstrap;

mod mcnemar;
mod multiplicity;
mod paired_proportions;
mod proportion;

mod budget;
mod power;
mod sequential;

mod clustered_alpha;
mod clustered_kappa;
mod gwet_ac1;
mod judge_error;
mod kappa;
mod krippendorff;
mod prediction_powered;

pub use bootstrap::{
    Bootstrap, BootstrapInterval, BootstrapOptions, bootstrap_mean, cluster_bootstrap,
};
pub use budget::{Costs, Split, Spread, best_repeats, best_split, cheapest_split};
pub use clustered::{ClusterRobust, ClusteredMean, clustered_mean};
pub use clustered_alpha::{ClusteredAlpha, clustered_alpha};
pub use clustered_kappa::{ClusteredKappa, clustered_kappa};
pub use effect_size::{cohens_dz, hedges_correction, hedges_gz};
pub use error::StatsError;
pub use gwet_ac1::gwet_ac1;
pub use judge_error::{Corrected, JudgeCalibration, correct_difference, correct_rate};
pub use kappa::{KappaWeights, cohens_kappa};
pub use krippendorff::{Measurement, krippendorff_alpha};
pub use mcnemar::{Mcnemar, mcnemar};
pub use multiplicity::{benjamini_hochberg, holm};
pub use non_inferiority::{NonInferiority, non_inferiority};
pub use noncentral_t::noncentral_t_cdf;
pub use paired_proportions::{PairedProportions, paired_proportions};
pub use paired_regression::{PairedRegression, paired_regression};
pub use paired_t::{PairedT, paired_t};
pub use power::{PowerTarget, Sides, minimal_detectable_effect, paired_t_power, required_pairs};
pub use prediction_powered::{PredictionPowered, prediction_powered_mean};
pub use proportion::{clopper_pearson, zero_events_upper_bound};
pub use random::Random;
pub use sample::{Interval, mean, paired_differences, standard_deviation};
pub use sequential::{
    Look, conditional_power, group_sequential_boundaries, obrien_fleming_spending,
};
pub use sign_flip::{SIGN_FLIP_EXACT_UP_TO, SignFlip, SignFlipMethod, sign_flip};
pub use signed_rank::{RankDistribution, SignedRank, Zeros, signed_rank};
pub use student_t::{student_t_two_sided, student_t_upper_quantile, student_t_upper_tail};
pub use variance_components::{VarianceComponents, variance_components};
