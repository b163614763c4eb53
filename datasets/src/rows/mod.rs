//! Rows of a file, one after another: JSON Lines, a JSON list, CSV, TSV or Parquet.

mod json_lines;
mod json_list;
mod parquet_rows;
mod record_starts;
mod table_rows;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::DatasetError;
use crate::fault::Problem;
use crate::json_value::{json_value, kind};
use crate::place::Place;
use crate::visible_text::visible;
pub(crate) use json_lines::JsonLines;
use json_list::JsonList;
use parquet_rows::ParquetRows;
use table_rows::TableRows;

/// Bytes a row of a text file may have: some four million tokens.
pub(crate) const ROW_LIMIT: usize = 16 << 20;

/// The fields of a row, or what is wrong with it as a whole.
pub(crate) type Fields = Result<Map<String, Value>, Problem>;

/// The rows of a file; no more than a few of them are in memory.
///
/// What kind of file it is follows from its name (`.csv`, `.tsv`, `.parquet`), else from its first
/// byte: `[` begins a JSON list, and all else is one JSON object a line. A `.csv` file whose head has
/// semicolons and no comma is separated by these.
pub struct RowFile {
    path: PathBuf,
    name: String,
    rows: Rows,
    /// Nothing more is read: the file is broken here.
    is_over: bool,
}

enum Rows {
    Lines(JsonLines),
    List(JsonList),
    Table(TableRows),
    Parquet(ParquetRows),
}

impl RowFile {
    /// Opens a file; errors if it cannot be read, is compressed, or is no Parquet file though its name says
    /// so.
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        let failed = |source| DatasetError::Read {
            path: path.to_owned(),
            source,
        };
        let mut file = open_file(path).map_err(failed)?;
        let start = beginning(&mut file).map_err(failed)?;
        if let Some(name) = compression(&start) {
            let message = format!("it is compressed ({name}); unpack it first");
            let kind = std::io::ErrorKind::InvalidData;
            return Err(failed(std::io::Error::new(kind, message)));
        }
        let extension = path.extension().map(std::ffi::OsStr::to_ascii_lowercase);
        let rows = match extension.as_ref().and_then(|name| name.to_str()) {
            Some("parquet") => Rows::Parquet(ParquetRows::open(file).map_err(|message| {
                failed(std::io::Error::new(
                    std::io::ErrorKind::InvalidData,
                    message,
                ))
            })?),
            Some("csv") => Rows::Table(TableRows::new(file, delimiter(&start))),
            Some("tsv") => Rows::Table(TableRows::new(file, b'\t')),
            _ => {
                let mut reader = BufReader::with_capacity(1 << 16, file);
                if begins_list(reader.fill_buf().map_err(failed)?) {
                    Rows::List(JsonList::new(reader))
                } else {
                    Rows::Lines(JsonLines::new(reader))
                }
            }
        };
        Ok(Self {
            path: path.to_owned(),
            name: file_name(path),
            rows,
            is_over: false,
        })
    }

    /// Returns the file's name, safe for a terminal.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// A row that may still have to be read, which any thread can do.
pub(crate) enum UnreadRow {
    /// The bytes of one JSON object.
    Json(Vec<u8>),
    /// What it holds.
    Read(Fields),
}

impl UnreadRow {
    /// Reads it.
    pub(crate) fn fields(self) -> Fields {
        match self {
            Self::Json(bytes) => object(&bytes, Problem::NotJson),
            Self::Read(fields) => fields,
        }
    }

    /// Returns how many bytes it waits with.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Json(bytes) => bytes.len(),
            Self::Read(_) => 0,
        }
    }
}

impl RowFile {
    /// Returns the next row and where it is, without reading what can be read elsewhere.
    pub(crate) fn next_unread(&mut self) -> Option<Result<(Place, UnreadRow), DatasetError>> {
        if self.is_over {
            return None;
        }
        let read = |(place, fields)| (place, UnreadRow::Read(fields));
        let next = match &mut self.rows {
            Rows::Lines(lines) => lines.next_row(),
            Rows::List(list) => list.next_row().map(|row| row.map(read)),
            Rows::Table(table) => table.next_row().map(|row| row.map(read)),
            Rows::Parquet(parquet) => parquet.next_row().map(|row| row.map(read)),
        };
        match next {
            Ok(None) => {
                self.is_over = true;
                None
            }
            Ok(Some(row)) => Some(Ok(row)),
            Err(source) => {
                self.is_over = true;
                Some(Err(DatasetError::Read {
                    path: self.path.clone(),
                    source,
                }))
            }
        }
    }
}

impl Iterator for RowFile {
    /// Where a row is, and its fields or what is wrong with it.
    type Item = Result<(Place, Result<Map<String, Value>, Problem>), DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_unread()?;
        Some(next.map(|(place, row)| (place, row.fields())))
    }
}

/// Opens a regular file: opening a named pipe would wait for its writer.
pub(crate) fn open_file(path: &Path) -> std::io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("not a file"));
    }
    File::open(path)
}

/// Returns a file's name for places, safe for a terminal.
pub(crate) fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    visible(&name.to_string_lossy())
}

/// Returns the first bytes of a file, which is then read from its beginning.
fn beginning(file: &mut File) -> std::io::Result<Vec<u8>> {
    const BYTES: u64 = 1 << 16;
    let mut start = Vec::new();
    file.by_ref().take(BYTES).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(start)
}

/// Returns how a file that begins with `start` is compressed.
fn compression(start: &[u8]) -> Option<&'static str> {
    let kinds: [(&[u8], &str); 3] = [
        (b"\x1f\x8b", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"PK\x03\x04", "zip"),
    ];
    let kind = kinds.iter().find(|(magic, _)| start.starts_with(magic));
    kind.map(|(_, name)| *name)
}

/// Returns what separates the cells of a table that begins with `start`: spreadsheets write semicolons
/// where numbers have commas.
fn delimiter(start: &[u8]) -> u8 {
    let head = start.split(|byte| matches!(byte, b'\r' | b'\n')).next();
    let has = |byte| head.is_some_and(|head| head.contains(&byte));
    if has(b';') && !has(b',') { b';' } else { b',' }
}

/// Tells whether the first byte of a text, a byte order mark and blanks aside, begins a list.
fn begins_list(start: &[u8]) -> bool {
    let start = start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(start);
    start.trim_ascii_start().first() == Some(&b'[')
}

/// Reads a row's fields from the bytes of one JSON object.
fn object(bytes: &[u8], not_json: fn(String) -> Problem) -> Fields {
    match json_value(text(bytes)?).map_err(not_json)? {
        Value::Object(fields) => Ok(fields),
        other => Err(Problem::Kind {
            expected: "an object",
            found: kind(&other),
        }),
    }
}

pub(crate) fn text(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|error| Problem::NotUtf8 {
        at: error.valid_up_to() + 1,
    })
}
