//! From a row of text to a conversation's score.

use shipworthy_schema::{
    ConversationId, ConversationScore, CriterionScore, ModelName, Outcome, PersonaId,
};

use super::columns::Columns;
use super::error::Fault;
use super::{PASS_THRESHOLD, TableOptions};
use crate::csv_text::{row_cells, shortened, unescaped};

/// The category of criteria from a table, which knows none.
const CATEGORY: &str = "criteria";

/// A row being read.
pub(super) struct Row<'a> {
    pub(super) line: u64,
    pub(super) columns: &'a Columns,
    pub(super) options: &'a TableOptions,
}

/// What is wrong, and the index of the column it is in.
type Misfit = (usize, Fault);

impl Row<'_> {
    /// Returns the score a record holds.
    pub(super) fn score(&self, record: &csv::ByteRecord) -> Result<ConversationScore, Misfit> {
        let columns = self.columns;
        let cells = row_cells(record, columns.names.len())
            .map_err(|(column, fault)| (column, Fault::from(fault)))?;
        let cell = |column: usize| unescaped(cells[column]);
        let note = columns.note.map(cell).unwrap_or_default();
        let overall =
            outcome(cell(columns.score), "score", note).map_err(|fault| (columns.score, fault))?;
        let criterion = |(column, id): &(usize, String)| {
            let outcome = outcome(cell(*column), id, note).map_err(|fault| (*column, fault))?;
            let reason = format!("{id} is {} in line {}", cell(*column), self.line);
            Ok(CriterionScore {
                criterion: id.clone(),
                category: CATEGORY.to_owned(),
                safety: self.options.safety.contains(id),
                outcome,
                reason,
                grades: Vec::new(),
            })
        };
        let passed = match overall.value() {
            None => None,
            Some(score) => Some(self.passed(score, columns.passed.map(|c| (c, cell(c))))?),
        };
        let name = |column: usize| match cell(column) {
            "" => Err((column, Fault::NoName)),
            name => Ok(name),
        };
        let (model, persona) = (name(columns.model)?, name(columns.persona)?);
        Ok(ConversationScore {
            conversation: ConversationId {
                model: ModelName::new(model).map_err(|error| (columns.model, error.into()))?,
                persona: PersonaId::new(persona)
                    .map_err(|error| (columns.persona, error.into()))?,
                repeat: repeat(cell(columns.repeat)).map_err(|fault| (columns.repeat, fault))?,
            },
            overall,
            passed,
            criteria: columns
                .criteria
                .iter()
                .map(criterion)
                .collect::<Result<_, _>>()?,
            judge_calls: Vec::new(),
            simulator_flags: Vec::new(),
        })
    }

    fn passed(&self, score: f64, cell: Option<(usize, &str)>) -> Result<bool, Misfit> {
        match (self.options.pass_threshold, cell) {
            (Some(threshold), _) => Ok(score >= threshold),
            (None, None | Some((_, ""))) => Ok(score >= PASS_THRESHOLD),
            (None, Some((column, text))) => text.to_ascii_lowercase().parse().map_err(|_| {
                let text = shortened(text);
                (column, Fault::NotABoolean { text })
            }),
        }
    }
}

/// Returns what a cell with a score says; what is empty has the reason that the note gives.
fn outcome(cell: &str, what: &str, note: &str) -> Result<Outcome, Fault> {
    if !cell.is_empty() {
        return Ok(Outcome::Scored {
            value: score(cell)?,
        });
    }
    let reason = note
        .split("; ")
        .find_map(|part| part.strip_prefix(what)?.strip_prefix(": "));
    Ok(match reason {
        Some("not applicable") => Outcome::NotApplicable,
        Some(reason) => Outcome::Unscored {
            reason: reason.to_owned(),
        },
        None if note.is_empty() => Outcome::Unscored {
            reason: "the cell is empty".to_owned(),
        },
        None => Outcome::Unscored {
            reason: note.to_owned(),
        },
    })
}

fn score(cell: &str) -> Result<f64, Fault> {
    let text = shortened(cell);
    match cell.parse::<f64>() {
        Err(_) => {
            let hint = if cell.replace(',', ".").parse::<f64>().is_ok() {
                "; write decimals with a point"
            } else {
                ""
            };
            Err(Fault::NotANumber { text, hint })
        }
        Ok(value) if !value.is_finite() => Err(Fault::NotFinite { text }),
        // Minus zero, too, becomes plain zero.
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value + 0.0),
        Ok(_) => Err(Fault::OutOfRange { text }),
    }
}

fn repeat(cell: &str) -> Result<u32, Fault> {
    match cell.parse() {
        Ok(repeat) if repeat > 0 => Ok(repeat),
        _ => Err(Fault::NotARepeat {
            text: shortened(cell),
        }),
    }
}
