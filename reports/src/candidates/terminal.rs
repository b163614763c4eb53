use shipworthy_schema::{CandidateResult, CandidateState, CandidateTable};

use super::words::{
    confirmation_cell, differences, earlier_text, gain, headline, losses, pool, pools_text,
    state_text, summary, verdict_cell, warnings,
};
use crate::terminal::columns::Column;
use crate::terminal::layout::{Paint, list, paragraph, table as layout};
use crate::training::training_warning_text;

/// Returns the table of candidates for a terminal of `width` columns: the verdict, every candidate with
/// its losses, gain and verdict, what kept candidates back, and which people spoke.
///
/// `color` adds ANSI colours; no meaning rests on them. Names and errors are shown without control
/// characters.
pub fn candidates_terminal(table: &CandidateTable, width: usize, color: bool) -> String {
    let (width, paint) = (width.clamp(60, 100), Paint { color });
    let columns = [
        Column::text("Candidate"),
        Column::number("Loss"),
        Column::number("Eval loss"),
        Column::number("Gain (95 %)"),
        Column::text("Verdict"),
        Column::text("Confirmed"),
    ];
    let rows = table.candidates.iter().map(|it| row(table, it)).collect();
    let mut blocks = vec![
        paint.bold(&paragraph(&headline(table), width)) + &paragraph(&summary(table), width),
        layout(&columns, rows, width),
    ];
    let mut notes: Vec<String> = Vec::new();
    for it in &table.candidates {
        let changed = differences(&it.differences);
        // A candidate of a grid is called by what it changes.
        if !it.name.ends_with(&changed) {
            notes.push(format!("{}: {changed}", it.name));
        }
        if let Some(why) = &it.proposed {
            notes.push(format!("{}: {why}", it.name));
        }
        if it.state != CandidateState::Evaluated {
            notes.push(format!("{}: {}", it.name, state_text(it)));
        }
        for warning in warnings(it) {
            notes.push(format!("{}: {}", it.name, training_warning_text(warning)));
        }
    }
    notes.extend(table.earlier_confirmations.iter().map(earlier_text));
    notes.push(format!("development: {}", pool(&table.development)));
    notes.push(format!("confirmation: {}", pool(&table.confirmation)));
    notes.extend(pools_text(table));
    blocks.push(list(&notes, width));
    blocks.join("\n")
}

fn row(table: &CandidateTable, it: &CandidateResult) -> Vec<String> {
    let [loss, eval_loss] = losses(it);
    let is_best = table.recommended.as_ref() == Some(&it.name);
    let mark = if is_best { " *" } else { "" };
    vec![
        format!("{}{mark}", it.name),
        loss,
        eval_loss,
        it.development.as_ref().map_or_else(|| "–".to_owned(), gain),
        verdict_cell(it),
        confirmation_cell(table, it, |it| it.verdict.label().to_owned()),
    ]
}
