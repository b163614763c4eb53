use std::collections::BTreeSet;

use shipworthy_schema::{EVALUATION_SEEDS_START, InvalidSeed, Persona, Split, TRAINING_SEEDS};
use thiserror::Error;

use crate::PersonaSpec;
use crate::draw::Draw;
use crate::spec::Combination;

/// Says why no people could be drawn.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GenerateError {
    /// The seeds belong to no split.
    #[error(transparent)]
    Seeds(#[from] InvalidSeed),
    /// Nobody was asked for.
    #[error("0 personas asked for, expected at least 1")]
    Nobody,
    /// The constraints forbid everything.
    #[error("the constraints of spec `{spec}` leave no combination of levels")]
    NothingAllowed {
        /// The spec's name.
        spec: String,
    },
    /// The grid has too few combinations to keep evaluation apart from training.
    #[error(
        "the grid of spec `{spec}` is {missing} combinations too small: it allows {allowed}, \
         training uses {training}, and evaluation seeds up to {last_seed} need {needed} more"
    )]
    GridTooSmall {
        /// The spec's name.
        spec: String,
        /// Combinations the constraints allow.
        allowed: u64,
        /// Distinct combinations the training seeds use.
        training: u64,
        /// Combinations the evaluation seeds need.
        needed: u64,
        /// The last seed asked for.
        last_seed: u32,
        /// How many are missing.
        missing: u64,
    },
}

/// Draws the people of the `count` seeds from `seed_start` on.
///
/// The same seed of the same spec version is the same person, whatever else is asked for. Evaluation
/// people repeat no combination of the 5,000 training seeds, nor of any evaluation seed before
/// theirs. Errors if the seeds are not all on one side, or if the grid is too small.
pub fn generate(
    spec: &PersonaSpec,
    seed_start: u32,
    count: u32,
) -> Result<Vec<Persona>, GenerateError> {
    let split = Split::of_seeds(seed_start, count)?;
    if count == 0 {
        return Err(GenerateError::Nobody);
    }
    let first_seed = match split {
        Split::Training => *TRAINING_SEEDS.start(),
        Split::Evaluation => EVALUATION_SEEDS_START,
    };
    let skipped = seed_start - first_seed;
    let end = u64::from(skipped) + u64::from(count);
    let combinations = match split {
        Split::Training => training(spec, end)?,
        Split::Evaluation => evaluation(spec, end)?,
    };
    let asked = (skipped..).zip(combinations.into_iter().skip(skipped as usize));
    Ok(asked
        .take(count as usize)
        .map(|(index, combination)| spec.persona(first_seed + index, split, index, &combination))
        .collect())
}

/// Returns the combinations of the first `n` training seeds, or a few more.
pub(crate) fn training(spec: &PersonaSpec, n: u64) -> Result<Vec<Combination>, GenerateError> {
    let mut draw = Draw::new(spec, Split::Training, BTreeSet::new());
    let mut combinations = Vec::new();
    while (combinations.len() as u64) < n {
        let block = draw
            .block(u64::MAX)
            .ok_or_else(|| GenerateError::NothingAllowed {
                spec: spec.name().to_owned(),
            })?;
        combinations.extend(block);
    }
    Ok(combinations)
}

fn evaluation(spec: &PersonaSpec, n: u64) -> Result<Vec<Combination>, GenerateError> {
    let n_training = u64::from(*TRAINING_SEEDS.end()) + 1;
    let mut trained = training(spec, n_training)?;
    trained.truncate(usize::try_from(n_training).unwrap_or(usize::MAX));
    let taken: BTreeSet<Combination> = trained.into_iter().collect();
    let n_taken = taken.len() as u64;
    let allowed = spec.n_combinations();
    let too_small = |missing| GenerateError::GridTooSmall {
        spec: spec.name().to_owned(),
        allowed,
        training: n_taken,
        needed: n,
        last_seed: u32::try_from(u64::from(EVALUATION_SEEDS_START) + n - 1).unwrap_or(u32::MAX),
        missing,
    };
    let free = allowed.saturating_sub(n_taken);
    if free < n {
        return Err(too_small(n - free));
    }
    let mut draw = Draw::new(spec, Split::Evaluation, taken);
    let mut combinations = Vec::new();
    while (combinations.len() as u64) < n {
        let n_left = free - combinations.len() as u64;
        let block = draw.block(n_left).ok_or_else(|| too_small(1))?;
        combinations.extend(block);
    }
    Ok(combinations)
}
