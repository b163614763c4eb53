use std::fmt::Write as _;

use shipworthy_models::{Finding, Level, Source};
use shipworthy_reports::one_line;

/// Columns before a row's value.
const VALUE: usize = 16;

/// A page of rows `key  value`, in blocks, for a terminal.
///
/// Values may be anybody's text; they are made inert here and nowhere else.
pub(crate) struct Page {
    text: String,
    width: usize,
    ends_with_note: bool,
}

impl Page {
    pub(crate) fn new(width: usize) -> Self {
        Self {
            text: String::new(),
            width: width.min(100),
            ends_with_note: false,
        }
    }

    /// Writes what the page is about.
    pub(crate) fn title(&mut self, name: Option<&str>, kind: &str) {
        let title = match name.filter(|name| !name.is_empty()) {
            Some(name) => format!("{name}: {kind}"),
            None => kind.to_owned(),
        };
        self.wrapped("", &title, 2);
    }

    /// Begins a block.
    pub(crate) fn block(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// Writes a row.
    pub(crate) fn row(&mut self, key: &str, value: impl AsRef<str>) {
        let indent = VALUE - 2;
        self.wrapped(&format!("  {key:<indent$}"), value.as_ref(), VALUE);
    }

    /// Writes a row if there is a value.
    pub(crate) fn row_if(&mut self, key: &str, value: Option<impl AsRef<str>>) {
        if let Some(value) = value.filter(|value| !value.as_ref().is_empty()) {
            self.row(key, value);
        }
    }

    /// Writes where a model comes from.
    pub(crate) fn sources(&mut self, key: &str, sources: &[Source]) {
        let names: Vec<String> = sources.iter().filter_map(source).collect();
        self.row_if(key, Some(listed(&names)));
    }

    /// Writes what was found, in the order given.
    pub(crate) fn findings(&mut self, findings: &[Finding]) {
        for finding in findings {
            let Finding {
                what, why, mend, ..
            } = finding;
            match finding.level {
                Level::Warning => {
                    self.block();
                    self.wrapped("warning: ", what, 2);
                    self.wrapped("  why:  ", why, 8);
                    self.wrapped("  mend: ", mend, 8);
                }
                Level::Note => {
                    if !self.ends_with_note {
                        self.block();
                    }
                    self.wrapped("note: ", &format!("{what}: {why}; {mend}"), 2);
                    self.ends_with_note = true;
                }
            }
        }
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// Writes `begin`, then `value` in lines that fit, the further ones behind `indent` spaces.
    pub(crate) fn wrapped(&mut self, begin: &str, value: &str, indent: usize) {
        self.text.push_str(begin);
        let mut column = begin.chars().count();
        let mut is_first = true;
        for word in one_line(value).split_whitespace() {
            let mut rest = word;
            let length = word.chars().count();
            if !is_first {
                if column + 1 + length > self.width {
                    self.break_line(indent);
                    column = indent;
                } else {
                    self.text.push(' ');
                    column += 1;
                }
            }
            // A word longer than a line is cut.
            while rest.chars().count() > self.width.saturating_sub(column).max(1) {
                let room = self.width.saturating_sub(column).max(1);
                let cut = rest
                    .char_indices()
                    .nth(room)
                    .map_or(rest.len(), |(at, _)| at);
                self.text.push_str(&rest[..cut]);
                rest = &rest[cut..];
                self.break_line(indent);
                column = indent;
            }
            self.text.push_str(rest);
            column += rest.chars().count();
            is_first = false;
        }
        let kept = self.text.trim_end_matches(' ').len();
        self.text.truncate(kept);
        self.text.push('\n');
    }

    fn break_line(&mut self, indent: usize) {
        let kept = self.text.trim_end_matches(' ').len();
        self.text.truncate(kept);
        self.text.push('\n');
        self.text.push_str(&" ".repeat(indent));
    }
}

/// Returns what is best known of a source: its id at the hub, else its name.
fn source(source: &Source) -> Option<String> {
    let hub = source.repo_url.as_deref();
    let id = hub.and_then(|url| url.strip_prefix("https://huggingface.co/"));
    let id = id
        .or(source.name.as_deref())
        .or(hub)
        .or(source.url.as_deref());
    id.map(str::to_owned)
}

/// Returns the first few of a list, and how many there are besides.
pub(crate) fn listed<S: AsRef<str>>(items: &[S]) -> String {
    const MOST: usize = 12;
    let shown = &items[..items.len().min(MOST)];
    let mut text = shown
        .iter()
        .map(AsRef::as_ref)
        .collect::<Vec<&str>>()
        .join(", ");
    if items.len() > MOST {
        let _ = write!(text, ", and {} more", items.len() - MOST);
    }
    text
}

/// Returns a number with commas between thousands.
pub(crate) fn grouped(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut text = String::new();
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a number exactly, and like `1.24B` where that is shorter.
pub(crate) fn counted(number: u64) -> String {
    let exact = grouped(number);
    let units = [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")];
    let unit = units.iter().find(|(unit, _)| number as f64 >= *unit);
    match unit {
        Some((unit, suffix)) => {
            let scaled = number as f64 / unit;
            let decimals = match scaled {
                100.0.. => 0,
                10.0.. => 1,
                _ => 2,
            };
            format!("{exact} ({scaled:.decimals$}{suffix})")
        }
        None => exact,
    }
}

/// Returns a number as people write it: without a fraction if it has none, short if it has.
pub(crate) fn number(value: f64) -> String {
    if value.fract() == 0.0 && (0.0..1e15).contains(&value) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was looked at"
        )]
        grouped(value as u64)
    } else {
        let text = format!("{value:.4}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// Returns `1 file` or `2 files`.
pub(crate) fn some(count: u64, one: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {one}{plural}", grouped(count))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(7, "7")]
    #[test_case(1234, "1,234 (1.23K)")]
    #[test_case(494_032_768, "494,032,768 (494M)")]
    #[test_case(1_235_814_400, "1,235,814,400 (1.24B)")]
    #[test_case(70_553_706_496, "70,553,706,496 (70.6B)")]
    fn counts_are_exact_and_short(number: u64, expected: &str) {
        assert_eq!(counted(number), expected);
    }

    #[test_case(500_000.0, "500,000")]
    #[test_case(0.5, "0.5")]
    #[test_case(2.828_427, "2.8284")]
    #[test_case(-1.0, "-1")]
    fn numbers_are_short(value: f64, expected: &str) {
        assert_eq!(number(value), expected);
    }

    #[test]
    fn lines_fit_and_hang() {
        let mut page = Page::new(60);
        page.row("key", "word ".repeat(20));
        page.row("long", "x".repeat(100));
        page.row("empty", "");
        page.row("hostile", "a\nb\u{1b}[31m");
        let text = page.finish();
        assert!(
            text.lines().all(|line| line.chars().count() <= 60),
            "{text}"
        );
        assert!(text.lines().all(|line| line.starts_with("  ")), "{text}");
        assert!(text.contains("  hostile       a b<U+001B>[31m\n"), "{text}");
        assert!(text.contains("\n  empty\n"), "{text}");
        assert_eq!(text.matches('x').count(), 100);
    }
}
