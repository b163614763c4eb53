//! Every pair of models, where there are more than one pair.

use shipworthy_schema::ModelPair;

use super::Page;
use super::columns::Column;
use super::layout::{paragraph, table};
use crate::number_text::{count, difference, p_value};

/// Most pairs shown: all of six models.
const ROWS: usize = 15;

impl Page<'_> {
    /// Returns the tests of all pairs; nothing of two models, whose pair is in the table of models.
    pub(super) fn pairs(&self) -> String {
        let ranking = &self.comparison.ranking;
        if ranking.models.len() < 3 {
            return String::new();
        }
        let columns = [
            Column::text("Pair"),
            Column::number("Difference"),
            Column::number("p"),
            Column::number("p (Holm)"),
        ];
        let row = |pair: &ModelPair| {
            let untested = || "untested".to_owned();
            vec![
                format!("{} − {}", pair.higher, pair.lower),
                difference(pair.difference),
                pair.p_value.map_or_else(untested, p_value),
                pair.p_adjusted.map_or_else(untested, p_value),
            ]
        };
        let rows = ranking.pairs.iter().take(ROWS).map(row).collect();
        let more = ranking.pairs.len().saturating_sub(ROWS);
        let note = if more > 0 {
            let n = u32::try_from(more).unwrap_or(u32::MAX);
            format!("{} left out: see the report or --json.", count(n, "pair"))
        } else {
            "p (Holm): paired t-test, adjusted for all pairs.".to_owned()
        };
        table(&columns, rows, self.width) + &paragraph(&note, self.width)
    }
}
