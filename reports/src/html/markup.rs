//! HTML and SVG that can only be made safely: text goes in by one door, and is escaped there.

use std::fmt::Display;

use crate::inert_text::is_unsafe;

/// Markup that is safe to be shown.
///
/// It is made of names that stand in this program, and of text that was escaped: there is no way from
/// a `String` to markup but [`Markup::text`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Markup(String);

impl Markup {
    /// Returns `text` as text: nothing in it is markup, breaks lines, or is obeyed by a terminal or a
    /// CI log that the page is printed to.
    ///
    /// Characters that are invisible and change how others are shown appear as `<U+202E>`. White space
    /// of any kind becomes a space, so that a hostile text cannot begin a line of the file.
    pub(super) fn text(text: &str) -> Self {
        let mut markup = String::with_capacity(text.len() + 16);
        let mut previous = ' ';
        for c in text.chars() {
            match c {
                '&' => markup.push_str("&amp;"),
                '<' => markup.push_str("&lt;"),
                '>' => markup.push_str("&gt;"),
                '"' => markup.push_str("&quot;"),
                '\'' => markup.push_str("&#39;"),
                // Workflow commands begin with two of them; a reader sees no difference.
                ':' | '#' if previous == c => markup.push_str(&format!("&#{};", u32::from(c))),
                c if c.is_whitespace() => markup.push(' '),
                c if is_unsafe(c) => markup.push_str(&format!("&lt;U+{:04X}&gt;", u32::from(c))),
                c => markup.push(c),
            }
            previous = c;
        }
        Self(markup)
    }

    /// Returns markup of ours.
    pub(super) fn fixed(markup: &'static str) -> Self {
        Self(markup.to_owned())
    }

    /// Returns JSON as the content of a `script` element that no browser runs: neither its end tag nor
    /// a comment can occur in it, and its lines are inert in terminals and logs.
    pub(super) fn data(json: &str) -> Self {
        let json = crate::inert_text::inert_json(json);
        if !json.contains(['&', '<', '>']) && !json.contains("::") {
            return Self(json);
        }
        let json = json
            .replace('&', "\\u0026")
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace("::", ":\\u003a");
        Self(json)
    }

    /// Adds `more` at the end.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "markup is used up, as by a list's push"
    )]
    pub(super) fn push(&mut self, more: Self) {
        self.0.push_str(&more.0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the finished text.
    pub(super) fn into_string(self) -> String {
        self.0
    }
}

impl FromIterator<Markup> for Markup {
    fn from_iter<T: IntoIterator<Item = Markup>>(parts: T) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.push(part);
        }
        all
    }
}

impl<const N: usize> From<[Markup; N]> for Markup {
    fn from(parts: [Markup; N]) -> Self {
        let mut all = String::with_capacity(parts.iter().map(|part| part.0.len()).sum());
        for part in parts {
            all.push_str(&part.0);
        }
        Self(all)
    }
}

/// An element under way: its name, then its attributes, then what it holds.
pub(super) struct Tag {
    name: &'static str,
    open: String,
}

impl Tag {
    pub(super) fn new(name: &'static str) -> Self {
        let open = format!("<{name}");
        Self { name, open }
    }

    /// Sets an attribute; the value is escaped.
    pub(super) fn set(mut self, attribute: &'static str, value: impl Display) -> Self {
        let value = Markup::text(&value.to_string());
        self.open.push_str(&format!(" {attribute}=\"{}\"", value.0));
        self
    }

    pub(super) fn class(self, value: &'static str) -> Self {
        self.set("class", value)
    }

    /// Closes it around `content`.
    pub(super) fn holding(self, content: impl Into<Markup>) -> Markup {
        let mut markup = content.into().0;
        markup.insert_str(0, &(self.open + ">"));
        markup.push_str("</");
        markup.push_str(self.name);
        markup.push('>');
        Markup(markup)
    }

    /// Closes it around a text.
    pub(super) fn saying(self, text: &str) -> Markup {
        self.holding(Markup::text(text))
    }

    /// Closes it with nothing in it; for SVG's shapes and for HTML's elements without content.
    pub(super) fn alone(self) -> Markup {
        Markup(self.open + "/>")
    }
}

/// Returns `items` as a list.
pub(super) fn list(items: &[String]) -> Markup {
    let items = items.iter().map(|item| Tag::new("li").saying(item));
    Tag::new("ul").holding(items.collect::<Markup>())
}

#[cfg(test)]
mod tests {
    use super::{Markup, Tag};
    use test_case::test_case;

    #[test_case("plain, zoë 👩‍🚀", "plain, zoë 👩‍🚀"; "harmless text stays")]
    #[test_case("<script>&'\"", "&lt;script&gt;&amp;&#39;&quot;"; "markup")]
    #[test_case("a\n::error::b\r##[c]", "a :&#58;error:&#58;b #&#35;[c]"; "commands at the start of a line")]
    #[test_case("\u{1b}[2J\u{202e}\u{0}", "&lt;U+001B&gt;[2J&lt;U+202E&gt;&lt;U+0000&gt;"; "escape sequences and direction marks")]
    fn text_is_only_text(text: &str, expected: &str) {
        assert_eq!(Markup::text(text).into_string(), expected);
    }

    #[test]
    fn attributes_cannot_be_left() {
        let tag = Tag::new("a").set("title", "\" onclick=\"alert(1)");
        let expected = "<a title=\"&quot; onclick=&quot;alert(1)\"></a>";
        assert_eq!(tag.holding(Markup::default()).into_string(), expected);
    }

    #[test]
    fn data_cannot_be_left_and_keeps_its_value() {
        let value = "</script><!-- --> & \u{2028} ::error:: ## \u{1b} \u{feff}";
        let data = Markup::data(&serde_json::to_string(value).unwrap()).into_string();
        assert!(
            !data.contains(['<', '>', '&', '\u{2028}', '\u{1b}']),
            "{data}"
        );
        assert!(!data.contains("::") && !data.contains("##"), "{data}");
        assert_eq!(serde_json::from_str::<String>(&data).unwrap(), value);
    }
}
