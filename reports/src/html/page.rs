//! The page around the sections: head, ways to them, style and script.

use super::content_policy::content_policy;
use super::markup::{Markup, Tag};

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// A page under way.
pub(super) struct Page {
    title: String,
    links: Markup,
    sections: Markup,
}

impl Page {
    pub(super) fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            links: Markup::default(),
            sections: Markup::default(),
        }
    }

    /// Adds a part of the page, reached by `id` under the name `label`; nothing if it is empty.
    pub(super) fn add(&mut self, id: &str, label: &str, part: Markup) {
        if part.is_empty() {
            return;
        }
        let link = Tag::new("a").set("href", format!("#{id}")).saying(label);
        self.links.push(Tag::new("li").holding(link));
        self.sections.push(part);
        self.sections.push(Markup::fixed("\n"));
    }

    /// Returns the finished page; `data` is what its script shows on demand.
    pub(super) fn finish(self, data: Markup) -> String {
        let policy = content_policy(SCRIPT, STYLE);
        let meta = |name: &str, content: &str| {
            Tag::new("meta")
                .set("name", name)
                .set("content", content)
                .alone()
        };
        let head = Tag::new("head").holding([
            Markup::fixed("<meta charset=\"utf-8\">"),
            // Before anything that could be refused.
            Tag::new("meta")
                .set("http-equiv", "Content-Security-Policy")
                .set("content", policy)
                .alone(),
            meta("viewport", "width=device-width, initial-scale=1"),
            meta("color-scheme", "light dark"),
            meta("referrer", "no-referrer"),
            Tag::new("title").saying(&self.title),
            Tag::new("style").holding(Markup::fixed(STYLE)),
        ]);
        let skip = Tag::new("a").class("skip").set("href", "#main");
        let nav = Tag::new("nav")
            .class("contents")
            .set("aria-label", "Contents")
            .holding(Tag::new("ul").holding(self.links));
        let main = Tag::new("main")
            .set("id", "main")
            .set("tabindex", -1)
            .holding(self.sections);
        let script = Tag::new("script").holding(Markup::fixed(SCRIPT));
        // All in one row: what an element holds is copied, and this may be many megabytes.
        let page = Markup::from([
            Markup::fixed("<!doctype html>\n<html lang=\"en\">"),
            head,
            Markup::fixed("\n<body>"),
            skip.saying("Skip to the report"),
            nav,
            main,
            data,
            Markup::fixed("\n"),
            script,
            Markup::fixed("</body></html>\n"),
        ]);
        page.into_string()
    }
}

#[cfg(test)]
mod tests {
    use super::{SCRIPT, STYLE};

    #[test]
    fn our_script_and_style_end_where_they_should_and_make_no_markup() {
        assert!(
            !SCRIPT.contains("</") && !SCRIPT.contains("<!--"),
            "the script would end early"
        );
        assert!(!STYLE.contains('<'), "the style would end early");
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "http",
        ] {
            assert!(!SCRIPT.contains(word), "{word}");
        }
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    }
}
