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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::{ProptestConfig, proptest};
    use shipworthy_schema::{Digest, Persona};

    use super::{GenerateError, generate};
    use crate::PersonaSpec;

    fn coaching() -> PersonaSpec {
        PersonaSpec::library("coaching").unwrap()
    }

    fn json(persona: &Persona) -> String {
        serde_json::to_string(persona).unwrap()
    }

    #[test]
    fn the_default_pool_covers_every_factor_evenly() {
        for name in PersonaSpec::library_names() {
            let spec = PersonaSpec::library(name).unwrap();
            let people = generate(&spec, 9000, 15).unwrap();
            for factor in spec.factors() {
                let total: u64 = factor.weights.iter().sum();
                for (level, weight) in factor.levels.iter().zip(&factor.weights) {
                    let taken = |p: &&Persona| p.levels[factor.name] == *level;
                    let n = people.iter().filter(taken).count() as u64;
                    // The fair share is 15 × weight / total; within less than two of it.
                    let off = (n * total).abs_diff(15 * weight);
                    assert!(off < 2 * total, "{name} {} {level}: {n}", factor.name);
                    assert!(
                        n > 0 || 15 * weight < 2 * total,
                        "{name} {} {level}",
                        factor.name
                    );
                }
            }
        }
    }

    #[test]
    fn evaluation_people_repeat_no_combination() {
        for name in PersonaSpec::library_names() {
            let spec = PersonaSpec::library(name).unwrap();
            let trained = generate(&spec, 0, 5000).unwrap();
            let trained: BTreeSet<_> = trained.into_iter().map(|p| p.levels).collect();
            let held_out = generate(&spec, 9000, 3000).unwrap();
            let levels: BTreeSet<_> = held_out.iter().map(|p| p.levels.clone()).collect();
            assert_eq!(levels.len(), 3000);
            assert!(levels.is_disjoint(&trained));
            let own: BTreeSet<_> = held_out[..15].iter().map(|p| &p.background).collect();
            assert_eq!(own.len(), 15);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_seed_is_the_same_person_in_every_range(first in 0_u32..400, count in 1_u32..40, of in 0_u32..40) {
            for start in [0, 9000] {
                let spec = coaching();
                let people = generate(&spec, start + first, count).unwrap();
                let at = of % count;
                let alone = generate(&spec, start + first + at, 1).unwrap();
                assert_eq!(people[at as usize], alone[0]);
                assert_eq!(people.len(), count as usize);
            }
        }
    }

    /// The coaching spec cut down to three situations and one level of all else.
    fn small() -> PersonaSpec {
        let text = PersonaSpec::library_text("coaching").unwrap();
        let mut kept = String::new();
        let mut n_levels = BTreeMap::new();
        let mut factor = String::new();
        let mut keep = true;
        for line in text
            .lines()
            .take_while(|line| !line.starts_with("constraints"))
        {
            if !line.starts_with(' ') && line.ends_with(':') {
                line.clone_into(&mut factor);
                keep = true;
            }
            if line.starts_with("  - ") {
                let n = n_levels.entry(factor.clone()).or_insert(0);
                *n += 1;
                keep = *n <= if factor == "situation:" { 3 } else { 1 };
            }
            if keep {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        PersonaSpec::parse(&kept, "small.yaml").unwrap()
    }

    #[test]
    fn a_grid_too_small_says_how_many_are_missing() {
        let spec = small();
        assert_eq!(spec.n_combinations(), 3);
        let error = generate(&spec, 9000, 15).unwrap_err();
        assert!(
            matches!(
                error,
                GenerateError::GridTooSmall {
                    missing: 15,
                    allowed: 3,
                    training: 3,
                    ..
                }
            ),
            "{error}"
        );
        assert_eq!(generate(&spec, 0, 15).unwrap().len(), 15);
    }

    #[test]
    fn seeds_of_no_split_are_refused() {
        assert!(matches!(
            generate(&coaching(), 4990, 20),
            Err(GenerateError::Seeds(_))
        ));
        assert!(matches!(
            generate(&coaching(), 6000, 1),
            Err(GenerateError::Seeds(_))
        ));
        assert_eq!(generate(&coaching(), 9000, 0), Err(GenerateError::Nobody));
    }

    /// Pins people byte for byte. If this fails, a seed has become another person: undo the change,
    /// or raise the spec's version (for a change of the YAML) or the draw's (for one of the code).
    #[test]
    fn people_stay_who_they_are() {
        let golden = [
            (
                0,
                "ca340fdffd1f8ecaba2a3640c580db45396d02a24994bff972ee93cc58861d41",
            ),
            (
                4999,
                "894abd0cc040f00e3f965c6a4f2a2c49acce41357fbdc4a52cc1f673258f3306",
            ),
            (
                9000,
                "5d341fb49ec853d2ba45530bd4874702c87bab0be4a04c01cf55c14f04688698",
            ),
            (
                9014,
                "2bd75648c5346d5b380ebd2898ec61566a63bc1cd8c539c32d99b1d591306e93",
            ),
            (
                10_000,
                "6af50083ea4b2d6fdf457fac1f1e0c24cd3f1c97f3eac98b54d7d4e1110f33cb",
            ),
        ];
        let got = golden.map(|(seed, _)| {
            let persona = generate(&coaching(), seed, 1).unwrap().remove(0);
            (seed, Digest::of(json(&persona).as_bytes()).to_string())
        });
        assert_eq!(got, golden.map(|(seed, digest)| (seed, digest.to_owned())));
    }
}
