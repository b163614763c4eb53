//! The sections of the Markdown report as HTML: the same numbers and words, said once.
//!
//! Only what our own sections consist of is understood; anything else comes out as text. Whatever the
//! sections hold goes through [`Markup::text`], so an error here could look odd but never be obeyed.

use super::markup::{Markup, Tag};

/// Breaks links and mentions up in Markdown, where nothing else can; here nothing makes links.
const ZERO_WIDTH_SPACE: char = '\u{200B}';

/// Whether a reader can sort a section's tables.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sorting {
    /// The rows' order says something.
    Fixed,
    /// By any column.
    ByColumn,
}

/// Returns a section of the Markdown report under a heading of `level` 2 or 3 that can be linked to;
/// nothing for an empty section.
pub(super) fn section(id: &str, level: u8, markdown: &str, sorting: Sorting) -> Markup {
    if markdown.is_empty() {
        return Markup::default();
    }
    let (title, body) = match markdown.strip_prefix("## ") {
        Some(rest) => rest.split_once('\n').unwrap_or((rest, "")),
        None => ("", markdown),
    };
    let heading = if level == 2 { "h2" } else { "h3" };
    Tag::new("section")
        .set("id", id)
        .set("aria-labelledby", format!("{id}-title"))
        .holding([
            Tag::new(heading)
                .set("id", format!("{id}-title"))
                .holding(inline(title)),
            blocks(body, &plain(title), sorting),
        ])
}

/// Returns the blocks of `markdown`; `about` names its tables.
fn blocks(markdown: &str, about: &str, sorting: Sorting) -> Markup {
    let mut all = Markup::default();
    let mut lines = markdown.lines().peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        if let Some(heading) = line.strip_prefix("### ") {
            all.push(Tag::new("h4").holding(inline(heading)));
        } else if line.starts_with("```") {
            let mut code = Markup::default();
            while let Some(line) = lines.next_if(|line| !line.starts_with("```")) {
                code.push(Markup::text(line));
                code.push(Markup::fixed("\n"));
            }
            lines.next();
            all.push(Tag::new("pre").holding(Tag::new("code").holding(code)));
        } else if line.starts_with("| ") {
            let mut rows = vec![cells(line)];
            while let Some(line) = lines.next_if(|line| line.starts_with("| ")) {
                rows.push(cells(line));
            }
            all.push(table(&rows, about, sorting));
        } else if let Some(item) = line.strip_prefix("- ") {
            // Items may be apart by an empty line, and hold a quotation.
            let mut items = vec![inline(item)];
            loop {
                let quoted = |line: &&str| line.starts_with("  > ");
                let is_next =
                    |line: &&str| line.is_empty() || line.starts_with("- ") || quoted(line);
                let Some(line) = lines.next_if(is_next) else {
                    break;
                };
                if let Some(item) = line.strip_prefix("- ") {
                    items.push(inline(item));
                } else if let Some((said, last)) = line.strip_prefix("  > ").zip(items.last_mut()) {
                    last.push(Tag::new("blockquote").holding(inline(said)));
                }
            }
            let items = items.into_iter().map(|item| Tag::new("li").holding(item));
            all.push(Tag::new("ul").holding(items.collect::<Markup>()));
        } else if let Some(said) = line.strip_prefix("> ") {
            all.push(Tag::new("blockquote").holding(inline(said)));
        } else {
            all.push(Tag::new("p").holding(inline(line)));
        }
    }
    all
}

/// Returns the cells of a table's row, still in Markdown.
fn cells(row: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut chars = row.trim_start_matches("| ").chars();
    while let Some(c) = chars.next() {
        let last = cells.len() - 1;
        match c {
            '\\' => {
                cells[last].push(c);
                cells[last].extend(chars.next());
            }
            '|' => cells.push(String::new()),
            c => cells[last].push(c),
        }
    }
    // A row ends with a bar.
    cells.pop();
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

/// Returns a table of `rows`: the heads, the sides on which cells stand, then the cells.
fn table(rows: &[Vec<String>], about: &str, sorting: Sorting) -> Markup {
    let [heads, sides, rows @ ..] = rows else {
        return Markup::default();
    };
    let is_number = |idx: usize| sides.get(idx).is_some_and(|side| side.starts_with('-'));
    let heads = heads.iter().enumerate().map(|(idx, head)| {
        let head_cell = Tag::new("th").set("scope", "col");
        let head_cell = if is_number(idx) {
            head_cell.class("number")
        } else {
            head_cell
        };
        head_cell.holding(inline(head))
    });
    let row = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(idx, cell)| {
            let tag = match idx {
                0 => Tag::new("th").set("scope", "row"),
                _ if is_number(idx) => Tag::new("td").class("number"),
                _ => Tag::new("td"),
            };
            let value = (sorting == Sorting::ByColumn && is_number(idx))
                .then(|| leading_number(&plain(cell)))
                .flatten();
            let tag = match value {
                Some(value) => tag.set("data-value", value),
                None => tag,
            };
            tag.holding(inline(cell))
        });
        Tag::new("tr").holding(cells.collect::<Markup>())
    };
    let table = match sorting {
        Sorting::Fixed => Tag::new("table"),
        Sorting::ByColumn => Tag::new("table").class("sortable"),
    };
    scrolling(
        about,
        table.holding([
            Tag::new("caption").class("unseen").saying(about),
            Tag::new("thead").holding(Tag::new("tr").holding(heads.collect::<Markup>())),
            Tag::new("tbody").holding(rows.iter().map(row).collect::<Markup>()),
        ]),
    )
}

/// Returns `content` in a box that scrolls by itself where it is wider than the screen, by keyboard
/// too.
pub(super) fn scrolling(label: &str, content: Markup) -> Markup {
    Tag::new("div")
        .class("scroll")
        .set("tabindex", 0)
        .set("role", "region")
        .set("aria-label", label)
        .holding(content)
}

/// Returns the number that a cell begins with, e.g. 0.204 of `+0.204`, 0 of `0 of 45`.
fn leading_number(cell: &str) -> Option<f64> {
    let cell = cell.trim_start_matches("< ");
    let end = cell
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-' | ',')))
        .unwrap_or(cell.len());
    cell[..end].replace(',', "").parse().ok()
}

/// Returns inline Markdown as markup.
fn inline(markdown: &str) -> Markup {
    let mut all = Markup::default();
    let mut said = String::new();
    let mut rest = markdown;
    while let Some(c) = rest.chars().next() {
        let (span, tag, mark) = if let Some(inside) = rest.strip_prefix("**") {
            (span(inside, "**"), "strong", 2)
        } else if let Some(inside) = rest.strip_prefix("~~") {
            (span(inside, "~~"), "s", 2)
        } else if let Some(inside) = rest.strip_prefix('`') {
            (inside.find('`'), "code", 1)
        } else {
            (None, "", 0)
        };
        if let Some(length) = span {
            let inside = &rest[mark..mark + length];
            all.push(Markup::text(&std::mem::take(&mut said)));
            all.push(match tag {
                // Nothing is escaped in code.
                "code" => Tag::new(tag).saying(inside),
                _ => Tag::new(tag).holding(inline(inside)),
            });
            rest = &rest[mark + length + mark..];
        } else if c == '\\' && rest.len() > 1 {
            let escaped = rest[1..].chars().next().unwrap_or(c);
            said.push(escaped);
            rest = &rest[1 + escaped.len_utf8()..];
        } else if let Some(after) = rest.strip_prefix("&lt;") {
            said.push('<');
            rest = after;
        } else {
            if c != ZERO_WIDTH_SPACE {
                said.push(c);
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    all.push(Markup::text(&said));
    all
}

/// Returns where `end` stands unescaped in `text`.
fn span(text: &str, end: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        if !is_escaped && text[at..].starts_with(end) {
            return Some(at);
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    None
}

/// Returns inline Markdown as the text it shows.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    let mut chars = markdown.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.extend(chars.next()),
            '*' | '`' | '~' | ZERO_WIDTH_SPACE => {}
            c => text.push(c),
        }
    }
    text.replace("&lt;", "<")
}

#[cfg(test)]
mod tests {
    use super::{Sorting, inline, leading_number, section};
    use crate::markdown::escape::{code, escaped};
    use test_case::test_case;

    #[test_case("I'm fine, **really** (see 3.1)!")]
    #[test_case("<script>alert(1)</script>&lt;")]
    #[test_case("a|b `c` *d* _e_ ~~f~~ **g** \\ \\\\")]
    #[test_case("- 1. # @team www.e.x https://e.x")]
    fn what_was_escaped_for_markdown_is_text_again(text: &str) {
        let shown = super::Markup::text(text);
        assert_eq!(inline(&escaped(text)), shown, "{}", escaped(text));
        let in_code = super::Markup::text(&text.replace('`', "'"));
        let expected = super::Tag::new("code").holding(in_code);
        assert_eq!(inline(&code(text)), expected);
    }

    #[test]
    fn blocks_become_elements() {
        let name = escaped("a|b");
        let markdown = format!(
            "## Title: {name}\n\n| Name | p |\n| :-- | --: |\n| {name} | &lt; 0.0001 |\n\nSaid `x` and \
             **y**.\n\n- one\n\n- two:\n\n  > quoted\n\n```sh\na <b>\n```\n"
        );
        let html = section("t", 2, &markdown, Sorting::ByColumn).into_string();
        insta::assert_snapshot!(html.replace("><", ">\n<"), @r#"
        <section id="t" aria-labelledby="t-title">
        <h2 id="t-title">Title: a|b</h2>
        <div class="scroll" tabindex="0" role="region" aria-label="Title: a|b">
        <table class="sortable">
        <caption class="unseen">Title: a|b</caption>
        <thead>
        <tr>
        <th scope="col">Name</th>
        <th scope="col" class="number">p</th>
        </tr>
        </thead>
        <tbody>
        <tr>
        <th scope="row">a|b</th>
        <td class="number" data-value="0.0001">&lt; 0.0001</td>
        </tr>
        </tbody>
        </table>
        </div>
        <p>Said <code>x</code> and <strong>y</strong>.</p>
        <ul>
        <li>one</li>
        <li>two:<blockquote>quoted</blockquote>
        </li>
        </ul>
        <pre>
        <code>a &lt;b&gt;
        </code>
        </pre>
        </section>
        "#);
    }

    #[test_case("+0.204", Some(0.204); "a difference")]
    #[test_case("< 0.0001", Some(0.0001); "a small p")]
    #[test_case("1,234 tokens", Some(1234.0); "groups")]
    #[test_case("no test", None; "words")]
    fn cells_have_an_order(cell: &str, expected: Option<f64>) {
        assert_eq!(leading_number(cell), expected);
    }
}
