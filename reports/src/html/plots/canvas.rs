//! What all pictures are drawn with.

use crate::html::markup::{Markup, Tag};
use crate::inert_text::cut;
use crate::ticks::Axis;

/// Half of a marker's width.
const MARKER: f64 = 5.0;

/// On which side of its point a text stands.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// An SVG picture under way; units are those of its own width and height.
pub(super) struct Canvas {
    width: f64,
    height: f64,
    shapes: Markup,
}

impl Canvas {
    pub(super) fn new(width: f64, height: f64) -> Self {
        let shapes = Markup::default();
        Self {
            width,
            height,
            shapes,
        }
    }

    pub(super) fn push(&mut self, shape: Markup) {
        self.shapes.push(shape);
    }

    pub(super) fn line(&mut self, class: &'static str, from: [f64; 2], to: [f64; 2]) {
        self.push(line(class, from, to).alone());
    }

    pub(super) fn rect(&mut self, class: &'static str, corner: [f64; 2], size: [f64; 2]) {
        let rect = Tag::new("rect").class(class);
        let rect = rect.set("x", n(corner[0])).set("y", n(corner[1]));
        let rect = rect.set("width", n(size[0])).set("height", n(size[1]));
        self.push(rect.alone());
    }

    pub(super) fn path(&mut self, class: &'static str, path: &str) {
        self.push(Tag::new("path").class(class).set("d", path).alone());
    }

    pub(super) fn text(&mut self, class: &'static str, at: [f64; 2], anchor: Anchor, text: &str) {
        let tag = Tag::new("text").class(class);
        let tag = tag.set("x", n(at[0])).set("y", n(at[1]));
        self.push(tag.set("text-anchor", anchor.word()).saying(text));
    }

    /// Writes a name of at most `chars` characters; a longer one is cut, and shown whole to who points
    /// at it.
    pub(super) fn name(&mut self, at: [f64; 2], anchor: Anchor, name: &str, chars: usize) {
        let short = cut(name, chars);
        if short == name {
            self.text("label", at, anchor, name);
            return;
        }
        let tag = Tag::new("text").class("label");
        let tag = tag.set("x", n(at[0])).set("y", n(at[1]));
        let whole = Tag::new("title").saying(name);
        self.push(
            tag.set("text-anchor", anchor.word())
                .holding([whole, Markup::text(&short)]),
        );
    }

    /// Draws the mark of a baseline.
    pub(super) fn circle(&mut self, class: &'static str, [x, y]: [f64; 2]) {
        let circle = Tag::new("circle").class(class);
        let circle = circle.set("cx", n(x)).set("cy", n(y));
        self.push(circle.set("r", MARKER).alone());
    }

    /// Draws the mark of a candidate.
    pub(super) fn diamond(&mut self, class: &'static str, [x, y]: [f64; 2]) {
        let m = MARKER + 1.0;
        let path = format!("M{} {}l{m} {m} -{m} {m} -{m} -{m}z", n(x), n(y - m));
        self.path(class, &path);
    }

    /// Draws an interval with a tick at each end.
    pub(super) fn interval(&mut self, class: &'static str, y: f64, from: f64, to: f64) {
        self.line(class, [from, y], [to, y]);
        for x in [from, to] {
            self.line(class, [x, y - 4.0], [x, y + 4.0]);
        }
    }

    /// Draws a horizontal axis at the foot of a plot, with a grid as high as the plot.
    pub(super) fn foot(&mut self, axis: &Scale, top: f64, base: f64, label: fn(f64) -> String) {
        for &tick in &axis.axis.ticks {
            let x = axis.at(tick);
            self.line("grid", [x, top], [x, base]);
            self.text("tick", [x, base + 16.0], Anchor::Middle, &label(tick));
        }
        self.line("axis", [axis.from, base], [axis.to, base]);
    }

    /// Draws a vertical axis at the left of a plot, with a grid as wide as the plot.
    pub(super) fn side(&mut self, axis: &Scale, left: f64, right: f64, label: fn(f64) -> String) {
        for &tick in &axis.axis.ticks {
            let y = axis.at(tick);
            self.line("grid", [left, y], [right, y]);
            self.text("tick", [left - 8.0, y + 4.0], Anchor::End, &label(tick));
        }
    }

    /// Returns the picture; `title` and `description` are for those who do not see it.
    pub(super) fn svg(self, id: &str, title: &str, description: &str) -> Markup {
        let [title_id, description_id] = ["title", "desc"].map(|part| format!("{id}-{part}"));
        let svg = Tag::new("svg")
            .set("viewBox", format!("0 0 {} {}", self.width, n(self.height)))
            .class(if self.width > 600.0 { "wide" } else { "narrow" })
            .set("role", "img")
            .set("aria-labelledby", format!("{title_id} {description_id}"));
        svg.holding([
            Tag::new("title").set("id", title_id).saying(title),
            Tag::new("desc")
                .set("id", description_id)
                .saying(description),
            self.shapes,
        ])
    }
}

/// An axis on the canvas.
pub(super) struct Scale {
    pub(super) axis: Axis,
    /// Where its low end lies.
    pub(super) from: f64,
    /// Where its high end lies.
    pub(super) to: f64,
}

impl Scale {
    pub(super) fn at(&self, value: f64) -> f64 {
        self.from + self.axis.share(value) * (self.to - self.from)
    }
}

/// Returns a line that can hold a title.
pub(super) fn line(class: &'static str, from: [f64; 2], to: [f64; 2]) -> Tag {
    let line = Tag::new("line").class(class);
    let line = line.set("x1", n(from[0])).set("y1", n(from[1]));
    line.set("x2", n(to[0])).set("y2", n(to[1]))
}

/// Returns a coordinate; a tenth of a unit is less than anybody sees.
pub(super) fn n(value: f64) -> String {
    let text = format!("{value:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".to_owned(),
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

/// Returns a tick of scores or differences, e.g. `0.2`.
pub(super) fn plain(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0" } else { text }.to_owned()
}

/// Returns a tick of differences, e.g. `+0.2`.
pub(super) fn signed(value: f64) -> String {
    let text = plain(value);
    if text == "0" || text.starts_with('-') {
        text
    } else {
        format!("+{text}")
    }
}
