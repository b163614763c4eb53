//! What the calls took.

use super::columns::Column;
use super::{Page, layout};
use crate::cost_text::{Columns, heads, rows};
use crate::inert_text::one_line;

impl Page<'_> {
    /// Says what the calls of each model in each role took.
    pub(super) fn cost(&self) -> String {
        let cost = self.evaluation.map(|evaluation| &evaluation.cost);
        let Some(cost) = cost.filter(|cost| !cost.parts.is_empty()) else {
            return String::new();
        };
        let mut columns = vec![Column::text("Cost of")];
        let heads = heads(cost, Columns::Main);
        columns.extend(heads.iter().map(|head| Column::number(head)));
        let rows = rows(cost, Columns::Main).into_iter().map(|row| {
            let mut cells = vec![one_line(&row.who)];
            cells.extend(row.numbers);
            cells
        });
        layout::table(&columns, rows.collect(), self.width)
    }
}
