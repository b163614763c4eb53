//! Paragraphs, lists and tables of a given width, of text made inert here.

use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, Width, presets,
};

use super::columns::{Column, Widths};
use crate::inert_text::one_line;

/// Colours text, or not.
#[derive(Clone, Copy)]
pub(crate) struct Paint {
    /// Whether escape sequences are written.
    pub(crate) color: bool,
}

impl Paint {
    /// Returns `text`, each of its lines within the SGR `code`.
    pub(crate) fn with(self, code: &str, text: &str) -> String {
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
    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// Returns a warning.
    pub(crate) fn warning(self, text: &str) -> String {
        self.with("33", text)
    }
}

/// Returns `text`, made inert, wrapped at `width`, ending in a newline.
pub(crate) fn paragraph(text: &str, width: usize) -> String {
    let mut table = plain_table(width);
    table.add_row([one_line(text)]);
    for column in table.column_iter_mut() {
        column.set_padding((0, 0));
    }
    rendered(&table)
}

/// Returns `items`, made inert, as a list with hanging indentation.
pub(crate) fn list(items: &[String], width: usize) -> String {
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

/// Returns a table of `columns`, with line breaks only where a cell's own layout has them and where
/// words must wrap. Cells are made inert.
pub(crate) fn table(columns: &[Column], rows: Vec<Vec<String>>, width: usize) -> String {
    let rows: Vec<Vec<String>> = rows.into_iter().map(inert_row).collect();
    let mut table = plain_table(width);
    table.style_mut().header_separator = LineStyle::none().fill('─');
    table.set_header(inert_row(heads(columns)));
    table.add_rows(&rows);
    let mut widths = widths(&table, columns, &rows);
    widths.fit(width);
    let gap = u16::try_from(widths.gap).unwrap_or(u16::MAX);
    for ((idx, column), content) in table.column_iter_mut().enumerate().zip(widths.iter()) {
        let is_last = idx + 1 == columns.len();
        let padding = if is_last { 0 } else { gap };
        column.set_padding((0, padding));
        let padded = u16::try_from(content)
            .unwrap_or(u16::MAX)
            .saturating_add(padding);
        column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(padded)));
        if matches!(columns[idx], Column::Number { .. }) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    rendered(&table)
}

/// Tells whether a table of `columns` and `rows` fits `width` without a broken word.
pub(crate) fn fits(columns: &[Column], rows: &[Vec<String>], width: usize) -> bool {
    let rows: Vec<Vec<String>> = rows.iter().cloned().map(inert_row).collect();
    let mut table = plain_table(width);
    table.set_header(inert_row(heads(columns)));
    widths(&table, columns, &rows).can_fit(width)
}

fn heads(columns: &[Column]) -> Vec<String> {
    columns
        .iter()
        .map(|column| column.head().to_owned())
        .collect()
}

fn widths(table: &Table, columns: &[Column], rows: &[Vec<String>]) -> Widths {
    let full = table.column_max_content_widths();
    let full: Vec<usize> = full.into_iter().map(usize::from).collect();
    Widths::new(columns, rows, &full)
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
