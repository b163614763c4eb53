//! The text of a table: its delimiter, its lines and its quotes.

use super::error::Fault;

/// Returns what separates the fields: a comma, or a semicolon or tab where the header has no comma.
pub(super) fn delimiter(text: &[u8]) -> u8 {
    let header = text.split(|&b| b == b'\n').next().unwrap_or_default();
    [b',', b';', b'\t']
        .into_iter()
        .find(|delimiter| header.contains(delimiter))
        .unwrap_or(b',')
}

/// Returns the text without the mark that some programs begin UTF-8 files with.
pub(super) fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Counts lines up to places that only go forward.
pub(super) struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
        }
    }

    /// Returns the line of the first record at or after `byte`; empty lines are no records.
    pub(super) fn of_record(&mut self, byte: usize) -> u64 {
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
pub(super) fn check_quotes(text: &[u8], delimiter: u8) -> Result<(), (u64, usize, Fault)> {
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
            (State::Closed, _) => return Err((line, column, Fault::TextAfterQuote)),
            (State::Plain, b'"') => return Err((line, column, Fault::StrayQuote)),
            (State::FieldStart | State::Plain, _) => State::Plain,
        };
        line += u64::from(ends_line(text, at));
    }
    match state {
        State::Quoted => Err((opened.0, opened.1, Fault::QuoteNotClosed)),
        _ => Ok(()),
    }
}
