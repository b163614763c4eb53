//! A picture with its caption and its numbers.

use crate::html::markup::{Markup, Tag};
use crate::html::section_text::scrolling;

/// A picture and what belongs to it.
pub(super) struct Figure<'a> {
    /// Names it in links.
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    /// How to read it.
    pub(super) caption: Markup,
    pub(super) svg: Markup,
    /// Its numbers, for those who want or need them.
    pub(super) numbers: Numbers<'a>,
}

/// Where a picture's numbers are.
pub(super) enum Numbers<'a> {
    /// In a table that the reader can open: the heads, then the rows.
    Table(&'a [&'a str], Vec<Vec<String>>),
    /// In a section of the page: its id and how to call it.
    Section(&'a str, &'a str),
}

impl Figure<'_> {
    pub(super) fn markup(self) -> Markup {
        let numbers = match self.numbers {
            Numbers::Table(heads, rows) => Tag::new("details").holding([
                Tag::new("summary").saying("Numbers"),
                table(self.title, heads, &rows),
            ]),
            Numbers::Section(id, name) => Tag::new("p").class("numbers").holding([
                Markup::fixed("Numbers: "),
                Tag::new("a").set("href", format!("#{id}")).saying(name),
            ]),
        };
        Tag::new("figure").set("id", self.id).holding([
            Tag::new("figcaption").holding([
                Tag::new("strong").saying(self.title),
                Markup::fixed(" "),
                self.caption,
            ]),
            scrolling(self.title, self.svg),
            numbers,
        ])
    }
}

/// Returns a table whose first column names its rows and whose others are numbers.
pub(in crate::html) fn table(caption: &str, heads: &[&str], rows: &[Vec<String>]) -> Markup {
    let heads = heads.iter().enumerate().map(|(idx, head)| {
        let cell = Tag::new("th").set("scope", "col");
        let cell = if idx == 0 { cell } else { cell.class("number") };
        cell.saying(head)
    });
    let row = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(idx, text)| match idx {
            0 => Tag::new("th").set("scope", "row").saying(text),
            _ => Tag::new("td").class("number").saying(text),
        });
        Tag::new("tr").holding(cells.collect::<Markup>())
    };
    scrolling(
        caption,
        Tag::new("table").holding([
            Tag::new("caption").class("unseen").saying(caption),
            Tag::new("thead").holding(Tag::new("tr").holding(heads.collect::<Markup>())),
            Tag::new("tbody").holding(rows.iter().map(row).collect::<Markup>()),
        ]),
    )
}
