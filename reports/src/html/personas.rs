//! The table of personas: sortable, each row a way into the transcripts.

use shipworthy_schema::{CandidateComparison, Evaluation, PersonaPair};

use super::markup::{Markup, Tag};
use super::section_text::scrolling;
use super::transcripts::link;
use crate::markdown::personas::{by_gain, gain};
use crate::number_text::{difference, score};

/// Half of a bar's width.
const BAR: f64 = 60.0;

/// Returns a candidate's pairs, largest gain first.
pub(super) fn personas(
    id: &str,
    evaluation: &Evaluation,
    candidate: &CandidateComparison,
) -> Markup {
    let pairs = by_gain(candidate);
    if pairs.is_empty() {
        return Markup::default();
    }
    let baseline = evaluation.comparison.baseline.as_str();
    let title = format!("Personas: {}", candidate.model);
    let largest = pairs
        .iter()
        .map(|pair| gain(pair).abs())
        .fold(0.0, f64::max);
    let row = |pair: &&PersonaPair| {
        let number = |value: f64, text: String| {
            Tag::new("td")
                .class("number")
                .set("data-value", value)
                .saying(&text)
        };
        let name = pair.persona.as_str();
        let link = Tag::new("a").set("href", link(name, candidate.model.as_str()));
        Tag::new("tr").holding([
            Tag::new("th")
                .set("scope", "row")
                .holding(link.saying(name)),
            number(pair.baseline, score(pair.baseline)),
            number(pair.candidate, score(pair.candidate)),
            number(gain(pair), difference(gain(pair))),
            Tag::new("td")
                .class("bar-cell")
                .holding(bar(gain(pair), largest)),
        ])
    };
    let head = |text: &str| {
        Tag::new("th")
            .set("scope", "col")
            .class("number")
            .saying(text)
    };
    let heads = [
        Tag::new("th").set("scope", "col").saying("Persona"),
        head(baseline),
        head(candidate.model.as_str()),
        Tag::new("th")
            .set("scope", "col")
            .class("number")
            .set("aria-sort", "descending")
            .saying("Difference"),
        Tag::new("td").saying("Loss | Gain"),
    ];
    let table = Tag::new("table").class("sortable").holding([
        Tag::new("caption").class("unseen").saying(&title),
        Tag::new("thead").holding(Tag::new("tr").holding(heads)),
        Tag::new("tbody").holding(pairs.iter().map(row).collect::<Markup>()),
    ]);
    let spread = format!(
        "Standard deviation of the differences: {}.",
        score(candidate.sd)
    );
    Tag::new("section")
        .set("id", id)
        .set("aria-labelledby", format!("{id}-title"))
        .holding([
            Tag::new("h3")
                .set("id", format!("{id}-title"))
                .saying(&title),
            Tag::new("div")
                .class("tall")
                .holding(scrolling(&title, table)),
            Tag::new("p").saying(&spread),
        ])
}

/// Returns a bar that grows to the right for a gain and to the left for a loss.
fn bar(gain: f64, largest: f64) -> Markup {
    if difference(gain) == difference(0.0) {
        return Markup::default();
    }
    let length = (gain.abs() / largest * BAR).max(1.0);
    let (class, x) = if gain > 0.0 {
        ("bar gain", BAR)
    } else {
        ("bar loss", BAR - length)
    };
    let bar = Tag::new("rect").class(class).set("y", 3).set("height", 10);
    let middle = Tag::new("line")
        .class("axis")
        .set("x1", BAR)
        .set("x2", BAR)
        .set("y1", 0);
    Tag::new("svg")
        .class("change")
        .set("viewBox", format!("0 0 {} 16", 2.0 * BAR))
        .set("aria-hidden", "true")
        .holding([
            bar.set("x", format!("{x:.1}"))
                .set("width", format!("{length:.1}"))
                .alone(),
            middle.set("y2", 16).alone(),
        ])
}
