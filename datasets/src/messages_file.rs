use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::conversation::Conversation;
use crate::error::DatasetError;
use crate::fault::{Fault, FaultList, Problem};
use crate::place::Place;
use crate::rows::{JsonLines, file_name, open_file, text};

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
    lines: JsonLines,
    /// Nothing more is read: the file is no JSONL at all, or cannot be read.
    is_over: bool,
}

impl MessagesFile {
    pub(crate) fn open(path: &Path) -> Result<Self, DatasetError> {
        let file = open_file(path).map_err(|source| DatasetError::Read {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            name: file_name(path),
            lines: JsonLines::new(BufReader::with_capacity(1 << 16, file)),
            is_over: false,
        })
    }

    fn parse(&mut self, line: usize, bytes: &[u8]) -> Result<Conversation, Vec<(String, Problem)>> {
        let whole = |problem| vec![(String::new(), problem)];
        let text = text(bytes).map_err(whole)?;
        if line == 1 && is_array(text.trim()) {
            self.is_over = true;
            return Err(whole(Problem::Array));
        }
        Conversation::parse(&format!("{}:{line}", self.name), text)
    }
}

/// Tells whether a file's first line begins a list of objects.
fn is_array(text: &str) -> bool {
    let inside = text.strip_prefix('[').map(str::trim_start);
    inside.is_some_and(|inside| inside.is_empty() || inside.starts_with('{'))
}

impl Iterator for MessagesFile {
    /// Where it is, and the conversation or what is wrong with it.
    type Item = Result<(Place, Result<Conversation, Vec<Fault>>), DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        match self.lines.next_line() {
            Ok(next) => next.map(|(line, bytes)| {
                let found = bytes
                    .map_err(|problem| vec![(String::new(), problem)])
                    .and_then(|bytes| self.parse(line, &bytes));
                let place = Place::Line(line);
                Ok((place, found.map_err(|found| Fault::all(place, found))))
            }),
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
