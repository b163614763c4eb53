//! Scores from any harness: a CSV file with a row per conversation.
//!
//! Columns, in any order: `model`, `persona`, `repeat`, `score`, and one more for each criterion.
//! The `scores.csv` of a run can be read too: its `termination`, `passed` and `note` are no criteria.
//! Scores lie between 0 and 1; an empty cell is a missing score. What is wrong is an error with file,
//! line and column; the order of rows never matters.

mod columns;
mod error;
mod row;
#[cfg(test)]
mod tests;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use shipworthy_schema::{ConversationId, ConversationScore, ModelName, PersonaId};
use shipworthy_stats::StatsError;

use crate::comparison::{ComparisonError, Evidence};
pub use crate::csv_text::Place;
use crate::csv_text::{
    CsvFault, Records, cells, check_quotes, delimiter, unescaped, without_byte_order_mark,
};
use columns::Columns;
pub use error::{Fault, ScoreTableError};
use row::Row;

/// Fewest personas that are compared. With two the interval of the difference is hardly ever
/// narrower than the scale.
pub const PERSONAS_AT_LEAST: usize = 3;

/// Score from which a conversation passes if nothing else is said.
pub const PASS_THRESHOLD: f64 = 0.7;

/// How to read a table.
#[derive(Clone, Debug, Default)]
pub struct TableOptions {
    /// The model the others are compared with.
    pub baseline: String,
    /// The criteria that are safety criteria.
    pub safety: Vec<String>,
    /// Score from which a conversation passes. `None`: what the column `passed` says where the table
    /// has one, else [`PASS_THRESHOLD`].
    pub pass_threshold: Option<f64>,
}

/// A table that was read and found whole: at least two models, the baseline among them, and the same
/// personas with each.
#[derive(Clone, Debug)]
pub struct ScoreTable {
    /// The model the others are compared with.
    pub baseline: ModelName,
    /// All models, in name order.
    pub models: Vec<ModelName>,
    /// Conversations each model should have: pairs of persona and repeat that any model has.
    pub planned: u32,
    /// All scores, in conversation order.
    pub scores: Vec<ConversationScore>,
    file: TableFile,
    lines: BTreeMap<ConversationId, u64>,
}

/// A file and what its columns are called.
#[derive(Clone, Debug)]
struct TableFile {
    path: PathBuf,
    names: Vec<String>,
}

impl TableFile {
    /// Returns the error that `fault` at a line and a column's index is.
    fn error(&self, line: u64, column: usize, fault: Fault) -> ScoreTableError {
        self.error_named(line, Some(column), self.names.get(column).cloned(), fault)
    }

    fn error_named(
        &self,
        line: u64,
        column: Option<usize>,
        name: Option<String>,
        fault: Fault,
    ) -> ScoreTableError {
        ScoreTableError::Content {
            path: self.path.clone(),
            place: Place {
                line,
                column: column.map(|column| column + 1),
                name,
            },
            fault: fault.into(),
        }
    }
}

impl ScoreTable {
    /// Returns the scores as there is to compare.
    pub fn evidence(&self) -> Evidence<'_> {
        Evidence {
            baseline: &self.baseline,
            models: &self.models,
            planned: self.planned,
            conversations: &[],
            scores: &self.scores,
        }
    }

    /// Reads the file at `path`.
    pub fn read(path: &Path, options: &TableOptions) -> Result<Self, ScoreTableError> {
        let bytes = std::fs::read(path).map_err(|source| ScoreTableError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &bytes, options)
    }

    /// Reads `bytes`, the content of the file at `path`.
    pub fn parse(
        path: &Path,
        bytes: &[u8],
        options: &TableOptions,
    ) -> Result<Self, ScoreTableError> {
        let text = without_byte_order_mark(bytes);
        let delimiter = delimiter(text);
        let mut file = TableFile {
            path: path.to_owned(),
            names: Vec::new(),
        };
        let quotes = check_quotes(text, delimiter);
        let mut records = Records::of(text, delimiter);
        let header = records.next();
        if let (Ok(()), None) = (&quotes, &header) {
            return Err(file.error(1, 0, Fault::Empty));
        }
        let (header_line, header) = header.unwrap_or_else(|| (1, csv::ByteRecord::new()));
        let names = cells(&header)
            .map(|cells| cells.into_iter().map(unescaped))
            .map(|names| names.map(str::to_owned).collect::<Vec<_>>());
        if let Err((line, column, fault)) = quotes {
            if line > header_line {
                file.names = names.unwrap_or_default();
            }
            return Err(file.error(line, column - 1, fault.into()));
        }
        let names =
            names.map_err(|(column, fault)| file.error(header_line, column, fault.into()))?;
        file.names.clone_from(&names);
        let columns = Columns::of(names)
            .map_err(|(column, name, fault)| file.error_named(header_line, column, name, fault))?;
        let mut rows = BTreeMap::new();
        for (line, record) in records {
            let row = Row {
                line,
                columns: &columns,
                options,
            };
            let score = row
                .score(&record)
                .map_err(|(column, fault)| file.error(row.line, column, fault))?;
            match rows.entry(score.conversation.clone()) {
                Entry::Vacant(entry) => drop(entry.insert((row.line, score))),
                Entry::Occupied(entry) => {
                    let ConversationId {
                        model,
                        persona,
                        repeat,
                    } = score.conversation;
                    let first = entry.get().0;
                    let fault = Fault::Twice {
                        first,
                        model,
                        persona,
                        repeat,
                    };
                    return Err(file.error(row.line, columns.repeat, fault));
                }
            }
        }
        if rows.is_empty() {
            return Err(file.error(header_line, 0, CsvFault::HeaderOnly.into()));
        }
        Self::checked(file, header_line, &columns, rows, options)
    }

    /// Checks what only all rows together show.
    fn checked(
        file: TableFile,
        header_line: u64,
        columns: &Columns,
        rows: BTreeMap<ConversationId, (u64, ConversationScore)>,
        options: &TableOptions,
    ) -> Result<Self, ScoreTableError> {
        let models: BTreeSet<&ModelName> = rows.keys().map(|id| &id.model).collect();
        let models: Vec<ModelName> = models.into_iter().cloned().collect();
        let wanted = |model: &&ModelName| model.as_str() == options.baseline;
        let Some(baseline) = models.iter().find(wanted).cloned() else {
            let baseline = options.baseline.clone();
            let fault = Fault::UnknownBaseline { baseline, models };
            return Err(file.error(header_line, columns.model, fault));
        };
        if models.len() == 1 {
            let fault = Fault::OneModel { model: baseline };
            return Err(file.error(header_line, columns.model, fault));
        }
        let is_criterion = |id: &&String| columns.criteria.iter().any(|(_, known)| known == *id);
        if let Some(id) = options.safety.iter().find(|id| !is_criterion(id)) {
            let criteria = columns.criteria.iter().map(|(_, id)| id.clone()).collect();
            let fault = Fault::UnknownSafety { criteria };
            return Err(file.error_named(header_line, None, Some(id.clone()), fault));
        }
        let mut personas: BTreeMap<&PersonaId, BTreeMap<&ModelName, u64>> = BTreeMap::new();
        for (id, (line, _)) in &rows {
            let first = personas.entry(&id.persona).or_default();
            let first = first.entry(&id.model).or_insert(*line);
            *first = *line.min(first);
        }
        for (&persona, first_lines) in &personas {
            let without = models.iter().find(|model| !first_lines.contains_key(model));
            let first = first_lines.iter().min_by_key(|(_, line)| **line);
            if let (Some(without), Some((&with, line))) = (without, first) {
                let fault = Fault::PersonaMissing {
                    persona: persona.clone(),
                    with: with.clone(),
                    without: without.clone(),
                };
                return Err(file.error(*line, columns.persona, fault));
            }
        }
        if personas.len() < PERSONAS_AT_LEAST {
            let personas = personas.len();
            let fault = Fault::TooFewPersonas { personas };
            return Err(file.error(header_line, columns.persona, fault));
        }
        let slots: BTreeSet<(&PersonaId, u32)> =
            rows.keys().map(|id| (&id.persona, id.repeat)).collect();
        let planned = u32::try_from(slots.len()).unwrap_or(u32::MAX);
        let (mut lines, mut scores) = (BTreeMap::new(), Vec::with_capacity(rows.len()));
        for (id, (line, score)) in rows {
            lines.insert(id, line);
            scores.push(score);
        }
        Ok(Self {
            baseline,
            models,
            planned,
            scores,
            file,
            lines,
        })
    }

    /// Returns why these scores allow no comparison, with the place it comes from.
    pub fn locate(&self, error: ComparisonError) -> ScoreTableError {
        let unscored = |model: &ModelName, persona: Option<&PersonaId>| {
            self.scores
                .iter()
                .filter(|score| score.overall.value().is_none())
                .map(|score| &score.conversation)
                .filter(|id| id.model == *model && persona.is_none_or(|p| id.persona == *p))
                .filter_map(|id| self.lines.get(id))
                .min()
                .copied()
        };
        let line = if let ComparisonError::TooManyMissing { model, .. } = &error {
            unscored(model, None)
        } else if let ComparisonError::PersonaMissing { model, persona, .. } = &error {
            unscored(model, Some(persona))
        } else {
            None
        };
        let fault = match error {
            ComparisonError::Test {
                model: candidate,
                baseline,
                source: StatsError::NoVariation { n: personas, .. },
            } => Fault::NoSpread {
                candidate,
                baseline,
                personas,
            },
            error => Fault::Comparison(error),
        };
        let score = self.file.names.iter().position(|name| name == "score");
        self.file
            .error(line.unwrap_or(1), score.unwrap_or_default(), fault)
    }
}
