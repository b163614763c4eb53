use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Read};
use std::rc::Rc;

use csv::{ByteRecord, Reader, ReaderBuilder};
use serde_json::{Map, Value};

use super::record_starts::RecordStarts;
use super::{Fields, ROW_LIMIT, text};
use crate::fault::Problem;
use crate::place::Place;

/// Columns a table may have.
const COLUMNS: usize = 1_000;

/// The rows of a table with a head, CSV or TSV.
pub(super) struct TableRows {
    reader: Reader<Metered>,
    left: Rc<Cell<usize>>,
    starts: Rc<RefCell<RecordStarts>>,
    names: Option<Vec<String>>,
    is_over: bool,
}

/// A file of which so many bytes may be read before somebody looks: a quotation mark that is never
/// closed would take the whole file into one cell.
struct Metered {
    file: File,
    left: Rc<Cell<usize>>,
    starts: Rc<RefCell<RecordStarts>>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(invalid(&format!(
                "a row has more than {ROW_LIMIT} bytes; a quotation mark may be missing"
            )));
        }
        let room = buffer.len().min(left);
        let count = self.file.read(&mut buffer[..room])?;
        self.left.set(left - count);
        let mut starts = self.starts.borrow_mut();
        starts.pass(&buffer[..count]);
        match starts.open_quote() {
            Some(line) if count == 0 => Err(invalid(&format!(
                "the quote opened in line {line} is never closed; write a quote within a quoted cell twice"
            ))),
            _ => Ok(count),
        }
    }
}

impl TableRows {
    pub(super) fn new(file: File, delimiter: u8) -> Self {
        let left = Rc::new(Cell::new(ROW_LIMIT));
        let starts = Rc::new(RefCell::new(RecordStarts::new(delimiter)));
        let metered = Metered {
            file,
            left: Rc::clone(&left),
            starts: Rc::clone(&starts),
        };
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true);
        Self {
            reader: builder.delimiter(delimiter).from_reader(metered),
            left,
            starts,
            names: None,
            is_over: false,
        }
    }

    pub(super) fn next_row(&mut self) -> io::Result<Option<(Place, Fields)>> {
        if self.is_over {
            return Ok(None);
        }
        let mut record = ByteRecord::new();
        loop {
            let Some(place) = self.read(&mut record)? else {
                return Ok(None);
            };
            let Some(names) = &self.names else {
                match head(&record) {
                    Ok(names) => self.names = Some(names),
                    Err(problem) => {
                        self.is_over = true;
                        return Ok(Some((place, Err(problem))));
                    }
                }
                continue;
            };
            return Ok(Some((place, fields(names, &record))));
        }
    }

    fn read(&mut self, record: &mut ByteRecord) -> io::Result<Option<Place>> {
        self.left.set(ROW_LIMIT);
        let is_there = self.reader.read_byte_record(record).map_err(|error| {
            self.is_over = true;
            match error.into_kind() {
                csv::ErrorKind::Io(error) => error,
                other => invalid(&format!("{other:?}")),
            }
        })?;
        if !is_there {
            return Ok(None);
        }
        let line = self.starts.borrow_mut().next().unwrap_or_default();
        Ok(Some(Place::Line(line)))
    }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Reads the names of the columns.
fn head(record: &ByteRecord) -> Result<Vec<String>, Problem> {
    if record.len() > COLUMNS {
        let (count, limit) = (record.len(), COLUMNS);
        return Err(Problem::Columns { count, limit });
    }
    let mut names: Vec<String> = Vec::with_capacity(record.len());
    for cell in record {
        let name = text(cell)?.trim_start_matches('\u{feff}').trim().to_owned();
        if names.contains(&name) {
            return Err(Problem::ColumnTwice(name));
        }
        names.push(name);
    }
    Ok(names)
}

/// Puts cells under their names; an empty cell is no field, and a list of objects is read as that.
fn fields(names: &[String], record: &ByteRecord) -> Fields {
    if record.len() != names.len() {
        let (found, expected) = (record.len(), names.len());
        return Err(Problem::Cells { found, expected });
    }
    let mut fields = Map::new();
    for (name, cell) in names.iter().zip(record) {
        let cell = text(cell)?;
        if !cell.is_empty() {
            fields.insert(name.clone(), value(cell));
        }
    }
    Ok(fields)
}

fn value(cell: &str) -> Value {
    let list = cell.trim_start().starts_with('[');
    let list = list.then(|| crate::json_value::json_value(cell).ok());
    match list.flatten() {
        Some(Value::Array(items)) if items.iter().all(Value::is_object) => Value::Array(items),
        _ => cell.into(),
    }
}
