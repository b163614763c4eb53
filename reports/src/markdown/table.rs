//! Markdown tables.

/// A column's head, escaped already, with the side its cells stand on.
#[derive(Clone, Copy)]
pub(crate) enum Column<'a> {
    /// Words, flush left.
    Text(&'a str),
    /// Numbers, flush right.
    Number(&'a str),
}

/// Returns a table. Cells must be escaped already.
pub(crate) fn table(columns: &[Column], rows: &[Vec<String>]) -> String {
    let (heads, rules): (Vec<&str>, Vec<&str>) = columns
        .iter()
        .map(|column| match column {
            Column::Text(head) => (*head, ":--"),
            Column::Number(head) => (*head, "--:"),
        })
        .unzip();
    let mut text = format!("| {} |\n| {} |\n", heads.join(" | "), rules.join(" | "));
    for row in rows {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text
}
