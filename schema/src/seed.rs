use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Persona seeds that training data may use.
pub const TRAINING_SEEDS: RangeInclusive<u32> = 0..=4999;

/// The first persona seed that only evaluation uses.
pub const EVALUATION_SEEDS_START: u32 = 9000;

/// Tells which side of the training/evaluation divide a persona seed is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Seeds 0 to 4999.
    Training,
    /// Seeds from 9000 up.
    Evaluation,
}

/// Says why a range of seeds belongs to no split.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "seeds {start} to {last} are neither all for training (0 to 4999) nor all for evaluation \
     (9000 and up)"
)]
pub struct InvalidSeed {
    /// The first seed of the range.
    pub start: u64,
    /// The last seed of the range.
    pub last: u64,
}

impl Split {
    /// Returns the split that `count` seeds from `start` on all belong to.
    pub fn of_seeds(start: u32, count: u32) -> Result<Self, InvalidSeed> {
        let last = u64::from(start) + u64::from(count.max(1)) - 1;
        let fits_u32 = u32::try_from(last).is_ok();
        if last <= u64::from(*TRAINING_SEEDS.end()) {
            Ok(Self::Training)
        } else if start >= EVALUATION_SEEDS_START && fits_u32 {
            Ok(Self::Evaluation)
        } else {
            Err(InvalidSeed {
                start: u64::from(start),
                last,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Split;

    #[test]
    fn seeds_outside_both_ranges_are_refused() {
        assert_eq!(Split::of_seeds(0, 5000), Ok(Split::Training));
        assert_eq!(Split::of_seeds(9000, 15), Ok(Split::Evaluation));
        for (start, count) in [(0, 5001), (5000, 1), (8999, 2), (u32::MAX, 2)] {
            assert!(Split::of_seeds(start, count).is_err(), "{start}+{count}");
        }
    }
}
