use std::fs::File;
use std::io::{self, BufRead, BufReader};

use super::{Fields, ROW_LIMIT, object};
use crate::fault::Problem;
use crate::place::Place;

/// The objects of one JSON list, cut out of the text one by one.
pub(super) struct JsonList {
    reader: BufReader<File>,
    line: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the list, whose first byte is known to come.
    Before,
    /// Before an element, or the list's end.
    Inside,
    /// Behind the list.
    Behind,
    Over,
}

impl JsonList {
    pub(super) fn new(reader: BufReader<File>) -> Self {
        Self {
            reader,
            line: 1,
            state: State::Before,
        }
    }

    pub(super) fn next_row(&mut self) -> io::Result<Option<(Place, Fields)>> {
        loop {
            let Some(byte) = peek(&mut self.reader)? else {
                let is_cut = self.state == State::Inside;
                self.state = State::Over;
                let fault = (Place::Line(self.line), Err(Problem::EndlessList));
                return Ok(is_cut.then_some(fault));
            };
            match (self.state, byte) {
                (State::Over, _) => return Ok(None),
                (State::Before, b'[') => {
                    self.state = State::Inside;
                    self.consume(byte);
                }
                // What is before the list is a byte order mark.
                (_, b' ' | b'\t' | b'\r' | b'\n') | (State::Inside, b',') | (State::Before, _) => {
                    self.consume(byte);
                }
                (State::Inside, b']') => {
                    self.state = State::Behind;
                    self.consume(byte);
                }
                (State::Behind, _) => {
                    self.state = State::Over;
                    return Ok(Some((Place::Line(self.line), Err(Problem::BehindList))));
                }
                (State::Inside, _) => {
                    let place = Place::Line(self.line);
                    let fields = match self.element()? {
                        Some(bytes) => object(&bytes, Problem::NotJsonElement),
                        None => Err(Problem::TooLong { limit: ROW_LIMIT }),
                    };
                    return Ok(Some((place, fields)));
                }
            }
        }
    }

    /// Reads up to the comma or bracket behind an element; none if it is too long.
    fn element(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let mut is_too_long = false;
        let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
        while let Some(byte) = peek(&mut self.reader)? {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if is_text => is_escaped = true,
                b'"' => is_text = !is_text,
                _ if is_text => {}
                b'[' | b'{' => depth += 1,
                b',' | b']' if depth == 0 => break,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if bytes.len() >= ROW_LIMIT {
                is_too_long = true;
                bytes = Vec::new();
            }
            if !is_too_long {
                bytes.push(byte);
            }
            self.consume(byte);
        }
        Ok((!is_too_long).then_some(bytes))
    }

    fn consume(&mut self, byte: u8) {
        self.line += usize::from(byte == b'\n');
        self.reader.consume(1);
    }
}

/// Returns the next byte without consuming it; none at the end.
fn peek(reader: &mut BufReader<File>) -> io::Result<Option<u8>> {
    loop {
        match reader.fill_buf() {
            Ok(buffer) => return Ok(buffer.first().copied()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
