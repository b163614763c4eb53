//! The text of a table, read strictly: its delimiter, its lines, its quotes and its cells.

use std::fmt;

use thiserror::Error;

/// A place in a table. What concerns the whole table stands in its header's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: u64,
    /// The column's number from 1, where there is such a column.
    pub column: Option<usize>,
    /// The column's name, where it is known.
    pub name: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: column", self.line)?;
        if let Some(column) = self.column {
            write!(f, " {column}")?;
        }
        if let Some(name) = &self.name {
            write!(f, " `{name}`")?;
        }
        Ok(())
    }
}

/// What is wrong with the text of a table, whatever stands in it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CsvFault {
    /// There is a header and nothing else.
    #[error("there is no row below the header")]
    HeaderOnly,
    /// A column has no name.
    #[error("the column has no name")]
    NoColumnName,
    /// Two columns have one name.
    #[error("column {first} has the same name")]
    ColumnTwice {
        /// The number of the first of them.
        first: usize,
    },
    /// A row has more or fewer fields than the header.
    #[error("the row has {fields} fields, the header has {columns}")]
    Ragged {
        /// Fields of the row.
        fields: usize,
        /// Columns of the header.
        columns: usize,
    },
    /// The bytes are no text.
    #[error("the text is not UTF-8; save the file in that encoding")]
    NotUtf8,
    /// A quoted field has no end.
    #[error("the quote opened here is never closed")]
    QuoteNotClosed,
    /// A quote stands in the middle of a field.
    #[error("a quote within a field; put the whole field in quotes and write each one in it twice")]
    StrayQuote,
    /// A quoted field goes on after its end.
    #[error("text after the closing quote; write a quote within a quoted field twice")]
    TextAfterQuote,
}

/// The records of a table that are not blank, each with its line.
pub(crate) struct Records<'a> {
    records: csv::ByteRecordsIntoIter<&'a [u8]>,
    lines: Lines<'a>,
}

impl<'a> Records<'a> {
    /// Reads `text`, which has no byte order mark.
    pub(crate) fn of(text: &'a [u8], delimiter: u8) -> Self {
        let mut reader = csv::ReaderBuilder::new();
        let reader = reader.has_headers(false).flexible(true);
        let reader = reader.delimiter(delimiter).from_reader(text);
        Self {
            records: reader.into_byte_records(),
            lines: Lines::new(text),
        }
    }
}

impl Iterator for Records<'_> {
    type Item = (u64, csv::ByteRecord);

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.records.find_map(|record| {
            let record = record.expect("reading from memory cannot fail, and lengths may differ");
            let is_blank = record.iter().all(|cell| cell.trim_ascii().is_empty());
            (!is_blank).then_some(record)
        })?;
        let position = record.position().expect("a record read has a position");
        let byte = usize::try_from(position.byte()).unwrap_or(usize::MAX);
        Some((self.lines.of_record(byte), record))
    }
}

/// Returns the cells as text, or the index of the first that is none.
pub(crate) fn cells(record: &csv::ByteRecord) -> Result<Vec<&str>, (usize, CsvFault)> {
    let text = |(idx, cell)| std::str::from_utf8(cell).map_err(|_| (idx, CsvFault::NotUtf8));
    record.iter().enumerate().map(text).collect()
}

/// Returns the cells of a row below a header with so many columns.
pub(crate) fn row_cells(
    record: &csv::ByteRecord,
    columns: usize,
) -> Result<Vec<&str>, (usize, CsvFault)> {
    let fields = record.len();
    if fields == columns {
        cells(record)
    } else {
        Err((fields.min(columns), CsvFault::Ragged { fields, columns }))
    }
}

/// Checks that every column has a name of its own; on failure returns the index and the fault.
pub(crate) fn check_names(names: &[String]) -> Result<(), (usize, CsvFault)> {
    for (idx, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err((idx, CsvFault::NoColumnName));
        }
        if let Some(first) = names[..idx].iter().position(|other| other == name) {
            return Err((idx, CsvFault::ColumnTwice { first: first + 1 }));
        }
    }
    Ok(())
}

/// Returns a cell's text without what our tables put before text that a spreadsheet would take for a
/// formula.
pub(crate) fn unescaped(cell: &str) -> &str {
    let cell = cell.trim();
    let is_formula = |c: char| matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠');
    cell.strip_prefix('\'')
        .filter(|text| text.starts_with(is_formula))
        .unwrap_or(cell)
}

/// Returns the first characters of a cell, enough to find it.
pub(crate) fn shortened(cell: &str) -> String {
    const CHARS: usize = 40;
    match cell.char_indices().nth(CHARS) {
        None => cell.to_owned(),
        Some((end, _)) => format!("{}…", &cell[..end]),
    }
}

/// Returns what separates the fields: a comma, or a semicolon or tab where the header has no comma.
pub(crate) fn delimiter(text: &[u8]) -> u8 {
    let header = text.split(|&b| b == b'\n').next().unwrap_or_default();
    [b',', b';', b'\t']
        .into_iter()
        .find(|delimiter| header.contains(delimiter))
        .unwrap_or(b',')
}

/// Returns what separates the fields where headings are sentences, which have commas of their own: the
/// first comma, semicolon or tab.
pub(crate) fn first_delimiter(text: &[u8]) -> u8 {
    let mut bytes = text.iter().copied();
    bytes
        .find(|byte| matches!(byte, b',' | b';' | b'\t'))
        .unwrap_or(b',')
}

/// Returns the text without the mark that some programs begin UTF-8 files with.
pub(crate) fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Counts lines up to places that only go forward.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
        }
    }

    /// Returns the line of the first record at or after `byte`; empty lines are no records.
    fn of_record(&mut self, byte: usize) -> u64 {
        while self.at < byte || matches!(self.text.get(self.at), Some(b'\n' | b'\r')) {
            self.line += u64::from(ends_line(self.text, self.at));
            self.at += 1;
        }
        self.line
    }
}

/// Tells whether a line ends with the byte at `at`: LF, CR LF or CR alone.
fn ends_line(text: &[u8], at: usize) -> bool {
    match text.get(at) {
        Some(b'\n') => true,
        Some(b'\r') => text.get(at + 1) != Some(&b'\n'),
        _ => false,
    }
}

/// Where the scan for quotes is.
#[derive(Clone, Copy)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    Closed,
}

/// Checks that quotes enclose whole fields, as RFC 4180 has it; on failure returns the line, the
/// column's number and the fault.
///
/// Readers repair such text silently, and a quote that is never closed swallows the rows below it.
pub(crate) fn check_quotes(text: &[u8], delimiter: u8) -> Result<(), (u64, usize, CsvFault)> {
    let (mut line, mut column) = (1, 1);
    let mut opened = (line, column);
    let mut state = State::FieldStart;
    for (at, &byte) in text.iter().enumerate() {
        state = match (state, byte) {
            (State::FieldStart, b'"') => {
                opened = (line, column);
                State::Quoted
            }
            (State::Quoted, b'"') => State::Closed,
            (State::Quoted, _) | (State::Closed, b'"') => State::Quoted,
            (_, b'\n' | b'\r') => {
                column = 1;
                State::FieldStart
            }
            (_, byte) if byte == delimiter => {
                column += 1;
                State::FieldStart
            }
            (State::Closed, _) => return Err((line, column, CsvFault::TextAfterQuote)),
            (State::Plain, b'"') => return Err((line, column, CsvFault::StrayQuote)),
            (State::FieldStart | State::Plain, _) => State::Plain,
        };
        line += u64::from(ends_line(text, at));
    }
    match state {
        State::Quoted => Err((opened.0, opened.1, CsvFault::QuoteNotClosed)),
        _ => Ok(()),
    }
}
