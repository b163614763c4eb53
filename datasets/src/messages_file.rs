use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::bounded_lines::{BoundedLines, Line};
use crate::conversation::Conversation;
use crate::error::DatasetError;
use crate::fault::{Fault, FaultList, Problem};

/// Bytes a line may have: some four million tokens.
const LINE_LIMIT: usize = 16 << 20;

/// Reads all conversations of a JSONL file, one object with `messages` a line.
///
/// A byte order mark and blank lines are passed over. Errors with what is wrong in any line, the
/// first faults one by one, or if there is no conversation at all.
pub fn read_messages(path: &Path) -> Result<Vec<Conversation>, DatasetError> {
    let mut faults = FaultList::default();
    let mut conversations = Vec::new();
    for line in MessagesFile::open(path)? {
        match line? {
            (_, Ok(conversation)) if faults.is_empty() => conversations.push(conversation),
            (_, Ok(_)) => {}
            (_, Err(found)) => found.into_iter().for_each(|fault| faults.add(fault)),
        }
    }
    faults.into_result(path)?;
    if conversations.is_empty() {
        return Err(DatasetError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(conversations)
}

/// The conversations of a file, one after another; no more than one line is in memory.
pub(crate) struct MessagesFile {
    path: PathBuf,
    name: String,
    lines: BoundedLines<BufReader<File>>,
    line: usize,
    /// Nothing more is read: the file is no JSONL at all, or cannot be read.
    is_over: bool,
}

impl MessagesFile {
    pub(crate) fn open(path: &Path) -> Result<Self, DatasetError> {
        let failed = |source| DatasetError::Read {
            path: path.to_owned(),
            source,
        };
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() {
            // Opening a named pipe would wait for its writer.
            return Err(failed(std::io::Error::other("not a file")));
        }
        let file = File::open(path).map_err(failed)?;
        let name = path.file_name().unwrap_or(path.as_os_str());
        Ok(Self {
            path: path.to_owned(),
            name: crate::visible_text::visible(&name.to_string_lossy()),
            lines: BoundedLines::new(BufReader::with_capacity(1 << 16, file), LINE_LIMIT),
            line: 0,
            is_over: false,
        })
    }

    fn parse(&mut self, line: Line) -> Option<Result<Conversation, Vec<Fault>>> {
        let fault = |problem| {
            Some(Err(vec![Fault {
                line: self.line,
                field: String::new(),
                problem,
            }]))
        };
        let Line::Whole(bytes) = line else {
            return fault(Problem::TooLong { limit: LINE_LIMIT });
        };
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(error) => {
                let at = error.valid_up_to() + 1;
                return fault(Problem::NotUtf8 { at });
            }
        };
        let text = match self.line {
            1 => text.strip_prefix('\u{feff}').unwrap_or(text),
            _ => text,
        };
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return None;
        }
        if self.line == 1 && is_array(trimmed) {
            self.is_over = true;
            return Some(Err(vec![Fault {
                line: 1,
                field: String::new(),
                problem: Problem::Array,
            }]));
        }
        let place = format!("{}:{}", self.name, self.line);
        let line = self.line;
        Some(Conversation::parse(&place, text).map_err(|found| {
            let located = found.into_iter().map(|(field, problem)| Fault {
                line,
                field,
                problem,
            });
            located.collect()
        }))
    }
}

/// Tells whether a file's first line begins a list of objects.
fn is_array(text: &str) -> bool {
    let inside = text.strip_prefix('[').map(str::trim_start);
    inside.is_some_and(|inside| inside.is_empty() || inside.starts_with('{'))
}

impl Iterator for MessagesFile {
    /// The line, from 1, and its conversation or what is wrong with it.
    type Item = Result<(usize, Result<Conversation, Vec<Fault>>), DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_over {
            match self.lines.next_line() {
                Ok(Some(line)) => {
                    self.line += 1;
                    if let Some(found) = self.parse(line) {
                        return Some(Ok((self.line, found)));
                    }
                }
                Ok(None) => self.is_over = true,
                Err(source) => {
                    self.is_over = true;
                    return Some(Err(DatasetError::Read {
                        path: self.path.clone(),
                        source,
                    }));
                }
            }
        }
        None
    }
}
