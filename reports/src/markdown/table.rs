//! Markdown tables.

/// Returns a table whose first column is flush left and whose others are flush right. Cells must
/// be escaped already.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let rule: Vec<&str> = (0..header.len())
        .map(|idx| if idx == 0 { ":--" } else { "--:" })
        .collect();
    let mut text = format!("| {} |\n| {} |\n", header.join(" | "), rule.join(" | "));
    for row in rows {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text
}
