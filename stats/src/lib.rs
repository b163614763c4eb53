//! Estimates, tests and intervals over slices of numbers.
//!
//! Slices in, estimates out: this crate knows no conversation, no persona and no verdict. Every
//! function returns a number or a [`StatsError`], never NaN; whatever draws at random takes a seed.
//! Formulas, sources and departures are collected in `docs/statistics.md`.

mod error;
mod sample;

mod student_t;

mod paired_t;

pub use error::StatsError;
pub use paired_t::{PairedT, paired_t};
pub use sample::{Interval, mean, paired_differences, standard_deviation};
pub use student_t::{student_t_two_sided, student_t_upper_quantile, student_t_upper_tail};
