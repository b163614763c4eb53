use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::file::reader::SerializedFileReader;
use parquet::record::reader::RowIter;
use serde_json::Value;

use super::Fields;
use crate::fault::Problem;
use crate::json_value::kind;
use crate::place::Place;

/// The rows of a Parquet file.
pub(super) struct ParquetRows {
    rows: RowIter<'static>,
    row: usize,
}

impl ParquetRows {
    /// Opens a file; errors with what the reader says of it.
    pub(super) fn open(file: File) -> Result<Self, String> {
        let opened = guarded(|| {
            let reader = SerializedFileReader::new(file)?;
            Ok(RowIter::from_file_into(Box::new(reader)))
        })?;
        Ok(Self {
            rows: opened,
            row: 0,
        })
    }

    pub(super) fn next_row(&mut self) -> io::Result<Option<(Place, Fields)>> {
        self.row += 1;
        let place = Place::Row(self.row);
        let next = guarded(|| self.rows.next().transpose());
        let row = next.map_err(|message| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{place}: {message}"))
        })?;
        Ok(row.map(|row| {
            let fields = match row.to_json_value() {
                Value::Object(fields) => Ok(fields),
                other => Err(Problem::Kind {
                    expected: "an object",
                    found: kind(&other),
                }),
            };
            (place, fields)
        }))
    }
}

/// Calls the reader, which gives up some broken files by panicking.
fn guarded<T>(read: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(done) => done.map_err(|error| {
            let message = error.to_string();
            if message.contains("Disabled feature") {
                return "its pages are compressed in a way that is not read here; write it with snappy or \
                        zstd, or uncompressed"
                    .to_owned();
            }
            crate::visible_text::excerpt(&message, 200)
        }),
        Err(_) => Err("no whole Parquet file".to_owned()),
    }
}
