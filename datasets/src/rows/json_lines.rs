use std::fs::File;
use std::io::{self, BufReader};

use super::{ROW_LIMIT, UnreadRow};
use crate::bounded_lines::{BoundedLines, Line};
use crate::fault::Problem;
use crate::place::Place;

/// A line's number and what it holds, or why that is unknown.
type NumberedLine = (usize, Result<Vec<u8>, Problem>);

/// Lines with something on them.
pub(crate) struct JsonLines {
    lines: BoundedLines<BufReader<File>>,
    line: usize,
}

impl JsonLines {
    pub(crate) fn new(reader: BufReader<File>) -> Self {
        Self {
            lines: BoundedLines::new(reader, ROW_LIMIT),
            line: 0,
        }
    }

    pub(super) fn next_row(&mut self) -> io::Result<Option<(Place, UnreadRow)>> {
        let next = self.next_line()?;
        Ok(next.map(|(line, bytes)| {
            let row = match bytes {
                Ok(bytes) => UnreadRow::Json(bytes),
                Err(problem) => UnreadRow::Read(Err(problem)),
            };
            (Place::Line(line), row)
        }))
    }

    /// Returns the next line that is not blank and its number, without a byte order mark.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<NumberedLine>> {
        while let Some(line) = self.lines.next_line()? {
            self.line += 1;
            let Line::Whole(mut bytes) = line else {
                let limit = ROW_LIMIT;
                return Ok(Some((self.line, Err(Problem::TooLong { limit }))));
            };
            let mark = "\u{feff}".as_bytes();
            if self.line == 1 && bytes.starts_with(mark) {
                bytes.drain(..mark.len());
            }
            if !bytes.trim_ascii().is_empty() {
                return Ok(Some((self.line, Ok(bytes))));
            }
        }
        Ok(None)
    }
}
