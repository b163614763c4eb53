use std::io::{self, BufRead};

use memchr::memchr;

/// Lines of a file, each of at most so many bytes.
pub(crate) struct BoundedLines<R> {
    reader: R,
    limit: usize,
}

/// One line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Whole(Vec<u8>),
    /// It has more bytes than a line may have; the rest was passed over.
    TooLong,
}

impl<R: BufRead> BoundedLines<R> {
    pub(crate) fn new(reader: R, limit: usize) -> Self {
        Self { reader, limit }
    }

    /// Reads the next line; none at the end. Memory never holds more than the limit and a buffer.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        let mut is_too_long = false;
        let mut has_begun = false;
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                break;
            }
            has_begun = true;
            let end = memchr(b'\n', buffer);
            let piece = &buffer[..end.unwrap_or(buffer.len())];
            if is_too_long || line.len() + piece.len() > self.limit {
                is_too_long = true;
                line = Vec::new();
            } else {
                line.extend_from_slice(piece);
            }
            let consumed = end.map_or(buffer.len(), |end| end + 1);
            self.reader.consume(consumed);
            if end.is_some() {
                break;
            }
        }
        if !has_begun {
            return Ok(None);
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Some(if is_too_long {
            Line::TooLong
        } else {
            Line::Whole(line)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_passed_over_and_the_next_one_read() {
        let text = b"ab\r\n\n0123456789\n01234567\nend".as_slice();
        for capacity in 1..12 {
            let reader = io::BufReader::with_capacity(capacity, text);
            let mut lines = BoundedLines::new(reader, 8);
            let mut found = Vec::new();
            while let Some(line) = lines.next_line().unwrap() {
                found.push(match line {
                    Line::Whole(bytes) => String::from_utf8(bytes).unwrap(),
                    Line::TooLong => "-".to_owned(),
                });
            }
            assert_eq!(found, ["ab", "", "-", "01234567", "end"]);
        }
    }
}
