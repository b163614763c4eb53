use std::io::{self, Read};

use shipworthy_datasets::RowFile;

/// The rows of any file as lines of JSON, each on the line that it has in the file where it can be.
///
/// Rows that are no JSON are blank lines.
pub(super) struct RowReader {
    rows: RowFile,
    buffer: Vec<u8>,
    read: usize,
    /// The line that is written next, from 1.
    line: usize,
}

impl RowReader {
    pub(super) fn new(rows: RowFile) -> Self {
        Self {
            rows,
            buffer: Vec::new(),
            read: 0,
            line: 1,
        }
    }

    /// Puts the next row into the buffer; leaves it empty at the end.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.clear();
        self.read = 0;
        while self.buffer.is_empty() {
            let Some(row) = self.rows.next() else {
                return Ok(());
            };
            let (place, fields) = row.map_err(|error| io::Error::other(error.to_string()))?;
            let Ok(fields) = fields else {
                continue;
            };
            let blank = place.number().saturating_sub(self.line);
            self.buffer.resize(blank, b'\n');
            serde_json::to_writer(&mut self.buffer, &fields)?;
            self.buffer.push(b'\n');
            self.line += blank + 1;
        }
        Ok(())
    }
}

impl Read for RowReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.read == self.buffer.len() {
            self.fill()?;
        }
        let left = &self.buffer[self.read..];
        let count = left.len().min(into.len());
        into[..count].copy_from_slice(&left[..count]);
        self.read += count;
        Ok(count)
    }
}
