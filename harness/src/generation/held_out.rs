use shipworthy_personas::leak::{self, LeakError};
use shipworthy_personas::{PersonaPool, PersonaSpec};

use super::row::TrainingRow;

/// The people of the project's evaluation, whom no training data may show.
#[derive(Debug)]
pub struct HeldOut {
    pub(super) pool: PersonaPool,
    pub(super) spec: PersonaSpec,
}

impl HeldOut {
    /// Returns how many they are.
    pub fn count(&self) -> u32 {
        self.pool.count()
    }

    /// Takes out rows that show one of them, and returns how many those were.
    ///
    /// After it the leak check of an evaluation finds none of them in what is left.
    pub(super) fn expel(&self, rows: &mut Vec<TrainingRow>) -> Result<usize, LeakError> {
        let before = rows.len();
        // The check names one line for each person, so it is repeated until it finds nobody.
        while !rows.is_empty() {
            let text: String = rows.iter().map(TrainingRow::line).collect();
            let options = leak::Options::default();
            let file = "generated rows";
            let report = leak::check(&self.pool, Some(&self.spec), text.as_bytes(), file, options)?;
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
        Ok(before - rows.len())
    }
}
