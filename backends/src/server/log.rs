use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Read as _, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::Secret;

/// Bytes of a log from which the next start begins it anew, and at which it takes no more.
const MAX_BYTES: u64 = 32 << 20;

/// Bytes of one line; what is longer is written as several.
const MAX_LINE: u64 = 16 << 10;

/// Lines that an error shows.
const SHOWN_LINES: usize = 12;

/// Characters of a line that an error shows.
const SHOWN_CHARACTERS: usize = 240;

/// What a process writes, without secrets.
pub(crate) struct Log {
    secrets: Vec<Secret>,
    inner: Mutex<Inner>,
}

struct Inner {
    file: File,
    bytes: u64,
    last: VecDeque<String>,
}

impl Log {
    /// Opens the log at `path`, to be continued if it is not long yet.
    pub(crate) fn open(path: &Path, secrets: Vec<Secret>) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        let mut bytes = file.metadata()?.len();
        if bytes > MAX_BYTES / 2 {
            file.set_len(0)?;
            bytes = 0;
        }
        if bytes > 0 {
            file.write_all(b"\n")?;
        }
        let inner = Inner {
            file,
            bytes,
            last: VecDeque::new(),
        };
        Ok(Self {
            secrets,
            inner: inner.into(),
        })
    }

    /// Takes all lines of `reader`, to its end.
    pub(super) fn take(&self, reader: impl BufRead) {
        let mut reader = reader;
        let mut line = Vec::new();
        loop {
            line.clear();
            match reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => self.line(String::from_utf8_lossy(&line).trim_end()),
            }
        }
    }

    /// Takes one line; a full disk must not stop the server, so failures are passed over.
    pub(crate) fn line(&self, line: &str) {
        let redact = |line: String, secret: &Secret| secret.redact(&line);
        let line = self.secrets.iter().fold(line.to_owned(), redact);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let text = line + "\n";
        if inner.bytes <= MAX_BYTES {
            inner.bytes += text.len() as u64;
            let end = if inner.bytes > MAX_BYTES {
                "shipworthy: the log is full\n"
            } else {
                ""
            };
            let _ = inner.file.write_all((text.clone() + end).as_bytes());
        }
        if text.trim().is_empty() {
            return;
        }
        if inner.last.len() == SHOWN_LINES {
            inner.last.pop_front();
        }
        let shown: String = text.trim_end().chars().take(SHOWN_CHARACTERS).collect();
        inner.last.push_back(shown);
    }

    /// Returns the last lines that are not blank.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.last.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Log, SHOWN_LINES};
    use crate::Secret;

    #[test]
    fn secrets_are_struck_out_and_the_last_lines_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("logs/main.log");
        let log = Log::open(&path, vec![Secret::new("sk-hush")]).unwrap();
        let text: Vec<String> = (0..40)
            .map(|i| format!("line {i} with sk-hush\n\n"))
            .collect();
        log.take(text.concat().as_bytes());
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(written.lines().count(), 80);
        assert!(!written.contains("hush"), "{written}");
        let last = log.last_lines();
        assert_eq!(last.len(), SHOWN_LINES);
        assert_eq!(last[SHOWN_LINES - 1], "line 39 with ***");

        drop(log);
        Log::open(&path, Vec::new()).unwrap().line("again");
        let continued = std::fs::read_to_string(&path).unwrap();
        assert_eq!(continued, written + "\nagain\n");
    }
}
