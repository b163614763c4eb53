use std::collections::VecDeque;

/// The lines in which the records of a table begin, and whether a quote is open at its end, found beside
/// the reader that takes the records apart; it tells neither.
pub(super) struct RecordStarts {
    delimiter: u8,
    state: State,
    /// The line of the byte to come, from 1.
    line: usize,
    was_return: bool,
    /// How many bytes of a byte order mark have passed; all else comes after it.
    mark: usize,
    starts: VecDeque<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    BeforeRecord,
    BeforeCell,
    InCell,
    /// Since this line.
    InQuotes(usize),
    /// A quote came within quotes: the end, or the first of two.
    AfterQuote(usize),
}

const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

impl RecordStarts {
    pub(super) fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            state: State::BeforeRecord,
            line: 1,
            was_return: false,
            mark: 0,
            starts: VecDeque::new(),
        }
    }

    /// Goes on by `bytes` of the file.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if BYTE_ORDER_MARK.get(self.mark) == Some(&byte) {
                self.mark += 1;
                continue;
            }
            self.mark = BYTE_ORDER_MARK.len();
            self.pass_byte(byte);
        }
    }

    fn pass_byte(&mut self, byte: u8) {
        let is_end = matches!(byte, b'\r' | b'\n');
        self.state = match (self.state, byte) {
            (State::InQuotes(line), b'"') => State::AfterQuote(line),
            (State::InQuotes(line), _) | (State::AfterQuote(line), b'"') => State::InQuotes(line),
            (_, _) if is_end => State::BeforeRecord,
            (state, _) => {
                if state == State::BeforeRecord {
                    self.starts.push_back(self.line);
                }
                let is_first = matches!(state, State::BeforeRecord | State::BeforeCell);
                if byte == self.delimiter {
                    State::BeforeCell
                } else if byte == b'"' && is_first {
                    State::InQuotes(self.line)
                } else {
                    State::InCell
                }
            }
        };
        // CR LF ends one line.
        if is_end && !(byte == b'\n' && self.was_return) {
            self.line += 1;
        }
        self.was_return = byte == b'\r';
    }

    /// Returns the line of the quote that is open after all that has passed.
    pub(super) fn open_quote(&self) -> Option<usize> {
        match self.state {
            State::InQuotes(line) => Some(line),
            _ => None,
        }
    }
}

impl Iterator for RecordStarts {
    type Item = usize;

    /// Returns the line of the next record.
    fn next(&mut self) -> Option<usize> {
        self.starts.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use csv::ReaderBuilder;
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    fn passed(text: &str) -> (Vec<usize>, Option<usize>) {
        let mut starts = RecordStarts::new(b',');
        starts.pass(text.as_bytes());
        let open = starts.open_quote();
        (starts.collect(), open)
    }

    #[test_case("a,b\nc,d\n", &[1, 2], None; "lines")]
    #[test_case("a,b\r\n\r\nc,d\r\ne", &[1, 3, 4], None; "carriage returns")]
    #[test_case("a\rb", &[1, 2], None; "carriage returns alone")]
    #[test_case("a,\"b\r\nc\"\r\nd", &[1, 3], None; "a quoted line")]
    #[test_case("\u{feff}\"a\nb\",c\nd", &[1, 3], None; "a byte order mark")]
    #[test_case("a\nb,\"c \"\"d\"\" e\ne", &[1, 2], Some(2); "an open quote")]
    #[test_case("a\"b\nc", &[1, 2], None; "a quote within a cell")]
    fn records_begin_and_quotes_stay_open(text: &str, starts: &[usize], open: Option<usize>) {
        assert_eq!(passed(text), (starts.to_vec(), open));
    }

    proptest! {
        #[test]
        fn there_are_as_many_starts_as_records(text in "[ab\",\r\n]{0,24}") {
            let mut reader = ReaderBuilder::new();
            let reader = reader.has_headers(false).flexible(true);
            let records = reader.from_reader(text.as_bytes()).into_byte_records().count();
            prop_assert_eq!(passed(&text).0.len(), records);
        }
    }
}
