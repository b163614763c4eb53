//! From a table that people filled in to labels.

use std::collections::BTreeMap;
use std::path::Path;

use shipworthy_schema::{HumanAnswer, HumanLabel};

use super::sheet::{CONVERSATION, ITEM, NOT_ASKED, NOTE, RATER, note_cell};
use super::{Item, Labelling, LabellingError, Question, Rater, SheetError, SheetFault};
use crate::csv_text::{
    CsvFault, Place, Records, cells, check_names, check_quotes, first_delimiter, row_cells,
    shortened, unescaped, without_byte_order_mark,
};

/// What is wrong, and the index of the column it is in.
type Misfit = (usize, SheetFault);

impl Labelling {
    /// Takes the labels of the file at `path`, and returns how many there are: all or none.
    ///
    /// An empty cell says nothing, so what is stored stays; a row without an answer and a note is
    /// passed over. `rater`: whose the rows are that name nobody.
    pub async fn take_sheet(
        &self,
        path: &Path,
        rater: Option<&Rater>,
    ) -> Result<usize, LabellingError> {
        let bytes = std::fs::read(path).map_err(|source| SheetError::Read {
            path: path.to_owned(),
            source,
        })?;
        let labels = self.read_sheet(path, &bytes, rater)?;
        let count = labels.len();
        self.put_all(labels).await?;
        Ok(count)
    }

    fn read_sheet(
        &self,
        path: &Path,
        bytes: &[u8],
        rater: Option<&Rater>,
    ) -> Result<Vec<HumanLabel>, LabellingError> {
        let text = without_byte_order_mark(bytes);
        let delimiter = first_delimiter(text);
        let mut names: Vec<String> = Vec::new();
        let failed = |names: &[String],
                      line,
                      column: Option<usize>,
                      name: Option<&str>,
                      fault: SheetFault| {
            let named = || {
                let heading = column.and_then(|column| names.get(column));
                heading.map(String::as_str).map(id_of)
            };
            LabellingError::from(SheetError::Content {
                path: path.to_owned(),
                place: Place {
                    line,
                    column: column.map(|column| column + 1),
                    name: name.or_else(named).map(str::to_owned),
                },
                fault: Box::new(fault),
            })
        };
        if let Err((line, column, fault)) = check_quotes(text, delimiter) {
            return Err(failed(&names, line, Some(column - 1), None, fault.into()));
        }
        let mut records = Records::of(text, delimiter);
        let Some((header_line, header)) = records.next() else {
            return Err(failed(&names, 1, Some(0), None, SheetFault::Empty));
        };
        let named = cells(&header).and_then(|cells| {
            names = cells
                .into_iter()
                .map(|cell| unescaped(cell).to_owned())
                .collect();
            let ids: Vec<String> = names.iter().map(|name| column_id(name)).collect();
            check_names(&ids)
        });
        if let Err((column, fault)) = named {
            return Err(failed(
                &names,
                header_line,
                Some(column),
                None,
                fault.into(),
            ));
        }
        let columns = match Columns::of(&names, &self.criteria(), rater.is_some()) {
            Ok(columns) => columns,
            Err((column, name, fault)) => {
                return Err(failed(&names, header_line, column, name, fault));
            }
        };
        let mut given = BTreeMap::new();
        let mut labels: BTreeMap<(Rater, String), (u64, HumanLabel)> = BTreeMap::new();
        let mut is_empty = true;
        for (line, record) in records {
            is_empty = false;
            let row = row_cells(&record, names.len()).map_err(|(at, fault)| (at, fault.into()));
            let read = row.and_then(|row| self.read_row(&row, &columns, rater));
            let (item, rater, answers, note) = match read {
                Ok(Some(read)) => read,
                Ok(None) => continue,
                Err((column, fault)) => {
                    return Err(failed(&names, line, Some(column), None, fault));
                }
            };
            if !given.contains_key(&rater) {
                given.insert(rater.clone(), self.given(&rater)?);
            }
            let stored = given.get(&rater).and_then(|given| given.get(&item.key));
            let label = match self.with_stored(&rater, item, answers, &note, stored) {
                Ok(label) => label,
                Err(error) => {
                    let fault = SheetFault::NotTaken(error.to_string());
                    return Err(failed(&names, line, columns.note, None, fault));
                }
            };
            if let Some((first, _)) = labels.get(&(rater.clone(), item.key.clone())) {
                let rater = rater.to_string();
                let fault = SheetFault::Twice {
                    first: *first,
                    rater,
                };
                return Err(failed(&names, line, Some(columns.item), None, fault));
            }
            labels.insert((rater, item.key.clone()), (line, label));
        }
        if is_empty {
            let fault = CsvFault::HeaderOnly.into();
            return Err(failed(&names, header_line, Some(0), None, fault));
        }
        Ok(labels.into_values().map(|(_, label)| label).collect())
    }

    /// Returns what a row says; `None` if that is nothing.
    fn read_row<'a>(
        &'a self,
        cells: &[&str],
        columns: &Columns,
        rater: Option<&Rater>,
    ) -> Result<Option<Said<'a>>, Misfit> {
        let cell = |column: usize| unescaped(cells[column]);
        let key = cell(columns.item);
        let item = self.item(key).ok_or_else(|| {
            let cell = shortened(key);
            (columns.item, SheetFault::UnknownItem { cell })
        })?;
        let mut answers = BTreeMap::new();
        for (column, criterion) in &columns.criteria {
            let asked = item.questions.iter().find(|q| q.criterion == *criterion);
            if let Some(answer) = answer(cell(*column), asked).map_err(|fault| (*column, fault))? {
                answers.insert(criterion.clone(), answer);
            }
        }
        let note = columns.note.map_or("", cell);
        if answers.is_empty() && note.is_empty() {
            return Ok(None);
        }
        let named = columns.rater.map(|column| (column, cell(column)));
        let rater = match (named.filter(|(_, name)| !name.is_empty()), rater) {
            (None, Some(rater)) => rater.clone(),
            (None, None) => {
                return Err((columns.rater.unwrap_or(columns.item), SheetFault::NoRater));
            }
            (Some((column, name)), wanted) => {
                let named = Rater::new(name)
                    .map_err(|error| (column, SheetFault::NotTaken(error.to_string())))?;
                match wanted.filter(|wanted| **wanted != named) {
                    None => named,
                    Some(wanted) => {
                        let (cell, rater) = (shortened(name), wanted.to_string());
                        return Err((column, SheetFault::OtherRater { cell, rater }));
                    }
                }
            }
        };
        Ok(Some((item, rater, answers, note.to_owned())))
    }

    /// Returns the label that a row makes of what is `stored`.
    fn with_stored(
        &self,
        rater: &Rater,
        item: &Item,
        said: BTreeMap<String, HumanAnswer>,
        note: &str,
        stored: Option<&HumanLabel>,
    ) -> Result<HumanLabel, LabellingError> {
        let grades = stored.into_iter().flat_map(|label| &label.grades);
        let mut answers: BTreeMap<String, HumanAnswer> = grades
            .map(|grade| (grade.criterion.clone(), grade.answer))
            .collect();
        answers.extend(said);
        let before = stored.map_or("", |label| &label.note);
        // A note that was only shown keeps its line ends.
        let is_before = note.is_empty() || unescaped(&note_cell(before)) == note;
        let note = if is_before { before } else { note };
        self.label(rater, item, &answers, note)
    }
}

/// What a row says: of which conversation, who, which answers, and the note.
type Said<'a> = (&'a Item, Rater, BTreeMap<String, HumanAnswer>, String);

/// The columns of a sheet by what they hold.
struct Columns {
    rater: Option<usize>,
    item: usize,
    note: Option<usize>,
    criteria: Vec<(usize, String)>,
}

impl Columns {
    /// Takes a header; on failure returns the column's index or name and the fault.
    fn of(
        names: &[String],
        asked: &[&Question],
        is_rater_known: bool,
    ) -> Result<Self, (Option<usize>, Option<&'static str>, SheetFault)> {
        let find = |wanted: &str| names.iter().position(|name| name == wanted);
        let required =
            |wanted: &'static str| find(wanted).ok_or((None, Some(wanted), SheetFault::NoColumn));
        let mut criteria = Vec::new();
        for (idx, name) in names.iter().enumerate() {
            if [RATER, ITEM, CONVERSATION, NOTE].contains(&name.as_str()) {
                continue;
            }
            let id = id_of(name);
            if !asked.iter().any(|question| question.criterion == id) {
                let criteria = asked.iter().map(|q| format!("`{}`", q.criterion)).collect();
                return Err((Some(idx), None, SheetFault::UnknownColumn { criteria }));
            }
            criteria.push((idx, id.to_owned()));
        }
        Ok(Self {
            rater: match find(RATER) {
                None if !is_rater_known => Some(required(RATER)?),
                found => found,
            },
            item: required(ITEM)?,
            note: find(NOTE),
            criteria,
        })
    }
}

/// Returns the criterion's id at the beginning of a heading.
fn id_of(heading: &str) -> &str {
    heading.split(':').next().unwrap_or_default().trim()
}

/// Returns what makes a column different from others: a criterion may be called like a fixed column.
fn column_id(heading: &str) -> String {
    match heading.split_once(':') {
        Some((id, _)) => format!("{}:", id.trim()),
        None => heading.to_owned(),
    }
}

/// Returns the answer to what is `asked`, if there is one.
fn answer(cell: &str, asked: Option<&Question>) -> Result<Option<HumanAnswer>, SheetFault> {
    let Some(asked) = asked else {
        return match cell {
            "" | NOT_ASKED => Ok(None),
            cell => Err(SheetFault::NotAsked {
                cell: shortened(cell),
            }),
        };
    };
    if cell.is_empty() {
        return Ok(None);
    }
    let mut options = asked.options.iter().map(|(answer, _)| *answer);
    let said = cell.to_ascii_lowercase();
    match options.find(|answer| answer.to_string() == said) {
        Some(answer) => Ok(Some(answer)),
        None => Err(SheetFault::NoAnswer {
            cell: shortened(cell),
            answers: asked
                .options
                .iter()
                .map(|(answer, _)| format!("`{answer}`"))
                .collect(),
        }),
    }
}
