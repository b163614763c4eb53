//! Paragraphs, lists and tables of a given width, of text made inert here.

use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, Width, presets,
};

use crate::inert_text::one_line;

/// Colours text, or not.
#[derive(Clone, Copy)]
pub(super) struct Paint {
    /// Whether escape sequences are written.
    pub(super) color: bool,
}

impl Paint {
    /// Returns `text`, each of its lines within the SGR `code`.
    pub(super) fn with(self, code: &str, text: &str) -> String {
        if !self.color {
            return text.to_owned();
        }
        let paint = |line: &str| {
            let (body, end) = line
                .strip_suffix('\n')
                .map_or((line, ""), |body| (body, "\n"));
            if body.is_empty() {
                line.to_owned()
            } else {
                format!("\u{1b}[{code}m{body}\u{1b}[0m{end}")
            }
        };
        text.split_inclusive('\n').map(paint).collect()
    }

    /// Returns a heading.
    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// Returns a warning.
    pub(super) fn warning(self, text: &str) -> String {
        self.with("33", text)
    }
}

/// Returns `text`, made inert, wrapped at `width`, ending in a newline.
pub(super) fn paragraph(text: &str, width: usize) -> String {
    let mut table = plain_table(width);
    table.add_row([one_line(text)]);
    for column in table.column_iter_mut() {
        column.set_padding((0, 0));
    }
    rendered(&table)
}

/// Returns `items`, made inert, as a list with hanging indentation.
pub(super) fn list(items: &[String], width: usize) -> String {
    if items.is_empty() {
        return String::new();
    }
    let mut table = plain_table(width);
    for item in items {
        table.add_row(["  -", &one_line(item)]);
    }
    for (idx, column) in table.column_iter_mut().enumerate() {
        let is_bullet = idx == 0;
        column.set_padding((0, u16::from(is_bullet)));
        if is_bullet {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    rendered(&table)
}

/// Widest content of a number's column, which never wraps; a long model name above it does.
const NUMBER_WIDTH: u16 = 20;

/// Narrowest text column after the first; no word of a verdict is longer, so none is broken.
const VERDICT_WIDTH: u16 = 8;

/// Returns a table whose first `n_text` columns wrap as needed; the others hold numbers and stand
/// flush right. Cells are made inert, but for the line breaks that a cell's own layout needs.
pub(super) fn table(
    header: &[&str],
    n_text: usize,
    rows: Vec<Vec<String>>,
    width: usize,
) -> String {
    let mut table = plain_table(width);
    table.style_mut().header_separator = LineStyle::none().fill('─').junction('─');
    table.set_header(header.iter().map(|text| one_line(text)));
    table.add_rows(rows.into_iter().map(inert_row));
    let content_widths = table.column_max_content_widths();
    for (idx, column) in table.column_iter_mut().enumerate() {
        let is_last = idx + 1 == header.len();
        column.set_padding((0, if is_last { 0 } else { 2 }));
        if (1..n_text).contains(&idx) {
            let padded = VERDICT_WIDTH + column.padding_width();
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(padded)));
        }
        if idx >= n_text {
            column.set_cell_alignment(CellAlignment::Right);
            if content_widths[idx] <= NUMBER_WIDTH {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
    }
    rendered(&table)
}

fn inert_row(cells: Vec<String>) -> Vec<String> {
    let inert = |cell: String| {
        cell.split('\n')
            .map(one_line)
            .collect::<Vec<_>>()
            .join("\n")
    };
    cells.into_iter().map(inert).collect()
}

fn plain_table(width: usize) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table
}

fn rendered(table: &Table) -> String {
    table
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}
