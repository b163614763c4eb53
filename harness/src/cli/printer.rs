use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::sync::{Arc, OnceLock};

use super::error::Failure;

/// The one place that writes: data to stdout, all else to stderr.
pub(crate) struct Printer {
    json: bool,
    documents: bool,
    progress: bool,
    /// Why stdout could not be written.
    failed: Arc<OnceLock<std::io::Error>>,
}

#[expect(clippy::unused_self, reason = "who prints must hold the printer")]
impl Printer {
    pub(crate) fn new(json: bool, progress: bool) -> Self {
        Self {
            json,
            documents: true,
            progress: progress && std::io::stderr().is_terminal(),
            failed: Arc::default(),
        }
    }

    /// Returns a printer for a step of a command whose document comes later: where stdout is to be JSON,
    /// it writes nothing there.
    pub(crate) fn without_documents(&self) -> Self {
        Self {
            documents: false,
            failed: Arc::clone(&self.failed),
            ..*self
        }
    }

    /// Tells whether stdout is to be one JSON document.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Tells whether a progress bar may be drawn.
    pub(crate) fn progress(&self) -> bool {
        self.progress
    }

    /// Tells whether colour may be used on stdout.
    pub(crate) fn color(&self) -> bool {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        wanted && std::io::stdout().is_terminal()
    }

    /// Returns the columns of the terminal at stdout, or 80 where there is none.
    pub(crate) fn width(&self) -> usize {
        let asked = std::env::var("COLUMNS")
            .ok()
            .and_then(|text| text.parse().ok());
        let size = || terminal_size::terminal_size_of(std::io::stdout());
        asked
            .or_else(|| size().map(|(width, _)| usize::from(width.0)))
            .unwrap_or(80)
            .clamp(60, 120)
    }

    /// Returns the columns of the terminal that progress is drawn on.
    pub(crate) fn progress_width() -> usize {
        let size = terminal_size::terminal_size_of(std::io::stderr());
        size.map_or(80, |(width, _)| usize::from(width.0))
            .clamp(60, 120)
    }

    /// Writes `text` to stdout; a reader that went away is no error, and others are told in the end.
    pub(crate) fn data(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(text.as_bytes());
        if let Err(error) = written.and_then(|()| stdout.flush())
            && error.kind() != ErrorKind::BrokenPipe
        {
            let _ = self.failed.set(error);
        }
    }

    /// Returns why not all that was meant for stdout is there.
    pub(crate) fn failed(&self) -> Option<&std::io::Error> {
        self.failed.get()
    }

    /// Writes `text` to stdout unless stdout is to be JSON.
    pub(crate) fn text(&self, text: &str) {
        if !self.json {
            self.data(text);
        }
    }

    /// Writes `value` to stdout if stdout is to be JSON.
    pub(crate) fn value(&self, value: &serde_json::Value) {
        if self.json && self.documents {
            self.data(&shipworthy_reports::inert_json(&format!("{value:#}\n")));
        }
    }

    /// Writes `line`, which holds nobody else's text, to stderr.
    pub(crate) fn note(&self, line: &str) {
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// Writes `line` to stderr where nobody holds the printer: on a signal.
    pub(crate) fn aside(line: &str) {
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// Writes why a command failed to stderr, and to stdout if that is to be JSON.
    pub(crate) fn failure(&self, failure: &Failure) {
        // Messages quote servers, models and files.
        self.note(&format!(
            "error: {}",
            shipworthy_reports::one_line(&failure.message)
        ));
        for hint in &failure.hints {
            self.note(&format!("hint: {hint}"));
        }
        self.value(&serde_json::json!({
            "format": 1,
            "error": failure.message,
            "hints": failure.hints,
            "exit_code": failure.kind.exit_code(),
        }));
    }
}
