use std::collections::BTreeSet;
use std::path::Path;

use shipworthy_personas::leak::{self, LeakError};
use shipworthy_personas::{PersonaPool, PersonaSpec};

use super::row::TrainingRow;
use crate::config::Config;
use crate::preparation::{self, PreparationError};

/// The people of the project's evaluation and of its loop, whom no training data may show.
#[derive(Debug)]
pub struct HeldOut {
    /// All of one spec; no two begin with the same seed and have the same number of people.
    pub(super) pools: Vec<PersonaPool>,
    pub(super) spec: PersonaSpec,
}

impl HeldOut {
    /// Draws everybody whom the project that `file` describes keeps for measuring.
    pub(super) fn of(config: &Config, file: &Path) -> Result<Self, PreparationError> {
        let (pool, spec) = preparation::held_out(config, file)?;
        let mut pools = vec![pool];
        let of_loop = config.pools();
        for on in of_loop
            .into_iter()
            .flat_map(|it| [it.development, it.confirmation])
        {
            let is_it = |pool: &PersonaPool| {
                (pool.seed_start(), pool.count()) == (on.seed_start, on.count.get())
            };
            if !pools.iter().any(is_it) {
                pools.push(preparation::held_out(&config.on_pool(on), file)?.0);
            }
        }
        Ok(Self { pools, spec })
    }

    /// Returns how many they are.
    pub fn count(&self) -> usize {
        let seeds = |pool: &PersonaPool| {
            let start = u64::from(pool.seed_start());
            start..start + u64::from(pool.count())
        };
        self.pools
            .iter()
            .flat_map(seeds)
            .collect::<BTreeSet<_>>()
            .len()
    }

    /// Takes out rows that show one of them, and returns how many those were.
    ///
    /// After it the leak check of an evaluation finds none of them in what is left.
    pub(super) fn expel(&self, rows: &mut Vec<TrainingRow>) -> Result<usize, LeakError> {
        let before = rows.len();
        for pool in &self.pools {
            self.expel_people_of(pool, rows)?;
        }
        Ok(before - rows.len())
    }

    fn expel_people_of(
        &self,
        pool: &PersonaPool,
        rows: &mut Vec<TrainingRow>,
    ) -> Result<(), LeakError> {
        // The check names one line for each person, so it is repeated until it finds nobody.
        while !rows.is_empty() {
            let text: String = rows.iter().map(TrainingRow::line).collect();
            let options = leak::Options::default();
            let file = "generated rows";
            let report = leak::check(pool, Some(&self.spec), text.as_bytes(), file, options)?;
            let mut lines: Vec<usize> = report
                .leaked()
                .map(|(_, leak)| leak.training_line())
                .collect();
            if lines.is_empty() {
                break;
            }
            lines.sort_unstable();
            let mut line = 0;
            rows.retain(|_| {
                line += 1;
                lines.binary_search(&line).is_err()
            });
        }
        Ok(())
    }
}
