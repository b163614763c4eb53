//! How wide each column of a table is.

/// Longest word of a text that stays whole while heads over numbers can be broken instead, e.g. a
/// run's id or a time.
const WHOLE_WORD: usize = 24;

/// Longest head over numbers, mostly a model's name, that stays whole while there is room.
const WHOLE_HEAD: usize = 16;

/// Longest head over numbers that is never broken: `Difference`, `Regressions`.
const LEAST_HEAD: usize = 11;

/// Narrowest column of text, where nothing else helps.
const LEAST_TEXT: usize = 4;

/// Spaces between two columns.
const GAP: usize = 2;

/// Spaces between two columns where there is room.
const WIDE_GAP: usize = 3;

/// A column: its head and what stands in it. A head may have lines of its own.
#[derive(Clone, Copy)]
pub(crate) enum Column<'a> {
    /// Words, flush left; a word that fits `whole` characters is not broken.
    Text { head: &'a str, whole: usize },
    /// Numbers, flush right and never broken.
    Number { head: &'a str },
}

impl<'a> Column<'a> {
    /// Returns a column of text.
    pub(crate) fn text(head: &'a str) -> Self {
        let whole = WHOLE_WORD;
        Self::Text { head, whole }
    }

    /// Returns a column of text in which no word is broken.
    pub(crate) fn whole(head: &'a str) -> Self {
        let whole = usize::MAX;
        Self::Text { head, whole }
    }

    /// Returns a column of numbers.
    pub(crate) fn number(head: &'a str) -> Self {
        Self::Number { head }
    }

    pub(crate) fn head(&self) -> &'a str {
        match self {
            Self::Text { head, .. } | Self::Number { head } => head,
        }
    }
}

/// A column's width with the bounds it can shrink to.
struct Span {
    width: usize,
    /// Breaks no word that should stay whole.
    least: usize,
    /// Breaks no number; below this a table cannot be read.
    floor: usize,
    is_text: bool,
}

impl Span {
    fn new(column: &Column, width: usize, cells: &[&str]) -> Self {
        let head_word = longest(column.head().split_whitespace());
        match column {
            Column::Text { whole, .. } => {
                let words = cells.iter().flat_map(|cell| cell.split_whitespace());
                let least = longest(words).max(head_word).min(*whole);
                Self {
                    width: width.max(least),
                    least,
                    floor: least.min(LEAST_TEXT),
                    is_text: true,
                }
            }
            Column::Number { .. } => {
                let numbers = longest(cells.iter().flat_map(|cell| cell.lines()));
                let least = numbers.max(head_word.min(WHOLE_HEAD));
                Self {
                    width: width.max(least),
                    least,
                    floor: numbers.max(head_word.min(LEAST_HEAD)),
                    is_text: false,
                }
            }
        }
    }
}

fn longest<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0)
}

/// The widths of a table's columns and the gap between them.
pub(crate) struct Widths {
    spans: Vec<Span>,
    pub(crate) gap: usize,
}

impl Widths {
    /// Returns the widths of `columns` that hold `rows`; `full` are those at which nothing wraps.
    pub(crate) fn new(columns: &[Column], rows: &[Vec<String>], full: &[usize]) -> Self {
        let span = |(idx, (column, width)): (usize, (&Column, &usize))| {
            let cells: Vec<&str> = rows
                .iter()
                .filter_map(|row| row.get(idx).map(String::as_str))
                .collect();
            Span::new(column, *width, &cells)
        };
        let spans = columns.iter().zip(full).enumerate().map(span).collect();
        Self { spans, gap: GAP }
    }

    /// Tells whether the table fits `total` columns without a broken word.
    pub(crate) fn can_fit(&self, total: usize) -> bool {
        self.sum(|span| span.least) <= total
    }

    /// Widens the gaps if there is room. Else shrinks the columns until the table fits `total`
    /// columns: the widest first while words stay whole; then the gaps; then heads over numbers;
    /// then text, the last column first.
    pub(crate) fn fit(&mut self, total: usize) {
        for span in &mut self.spans {
            span.width = span.width.min(total.max(span.least));
        }
        self.gap = WIDE_GAP;
        if self.sum(|span| span.width) > total {
            self.gap = GAP;
        }
        self.shrink_widest(total, |span| span.least);
        if self.sum(|span| span.width) > total {
            self.gap = 1;
        }
        self.shrink_widest(
            total,
            |span| {
                if span.is_text { span.width } else { span.floor }
            },
        );
        for idx in (0..self.spans.len()).rev() {
            let over = self.sum(|span| span.width).saturating_sub(total);
            let span = &mut self.spans[idx];
            span.width -= over.min(span.width.saturating_sub(span.floor));
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        self.spans.iter().map(|span| span.width)
    }

    fn shrink_widest(&mut self, total: usize, bound: impl Fn(&Span) -> usize) {
        while self.sum(|span| span.width) > total {
            let shrinkable = self.spans.iter_mut().filter(|s| s.width > bound(s));
            let widest = shrinkable.max_by_key(|span| span.width);
            let Some(span) = widest else {
                return;
            };
            span.width -= 1;
        }
    }

    /// Returns the table's width if each column had that which `of` gives it.
    fn sum(&self, of: impl Fn(&Span) -> usize) -> usize {
        let gaps = self.gap * self.spans.len().saturating_sub(1);
        gaps + self.spans.iter().map(of).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::{Column, Widths};
    use test_case::test_case;

    /// The widths and the gap of a table with one row at `total` columns.
    fn fitted(columns: &[Column], row: &[&str], total: usize) -> (Vec<usize>, usize) {
        let rows = [row.iter().map(|cell| (*cell).to_owned()).collect()];
        let full: Vec<usize> = columns
            .iter()
            .zip(row)
            .map(|(column, cell)| column.head().len().max(cell.len()))
            .collect();
        let mut widths = Widths::new(columns, &rows, &full);
        widths.fit(total);
        (widths.iter().collect(), widths.gap)
    }

    #[test_case(80 => (vec![14, 20, 13, 11], 3); "as wide as it wants")]
    #[test_case(60 => (vec![14, 20, 10, 10], 2); "what has several words wraps between them")]
    #[test_case(50 => (vec![14, 20, 7, 6], 1); "the gaps go next")]
    #[test_case(48 => (vec![14, 20, 7, 4], 1); "then words from the right")]
    fn a_list_of_runs_keeps_its_identifiers(total: usize) -> (Vec<usize>, usize) {
        let row = [
            "46aedfa1ddce-1",
            "2026-11-21T07:00:00Z",
            "do not deploy",
            "base, tuned",
        ];
        let columns = ["run", "begun (UTC)", "verdict", "models"].map(Column::text);
        fitted(&columns, &row, total)
    }

    #[test_case(36 => vec![20, 8, 6]; "the gaps go before a name is broken")]
    #[test_case(30 => vec![14, 8, 6]; "numbers stay whole to the last")]
    fn numbers_are_never_broken(total: usize) -> Vec<usize> {
        let columns = [
            Column::text("Model"),
            Column::number("base"),
            Column::number("p"),
        ];
        fitted(
            &columns,
            &["a-name-of-twenty-chs", "< 0.0001", "+0.150"],
            total,
        )
        .0
    }
}
