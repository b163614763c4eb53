//! Each persona's mean with the baseline joined to the one with the candidate.

use shipworthy_schema::{CandidateComparison, ModelName, PersonaPair};

use super::canvas::{Anchor, Canvas, Scale, line, n, plain};
use super::figure::{Figure, Numbers};
use crate::html::markup::{Markup, Tag};
use crate::number_text::{count, difference, score};
use crate::ticks::Axis;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 130.0;
const RIGHT: f64 = 330.0;
const TOP: f64 = 40.0;
const BASE: f64 = 396.0;

/// Most lines that can be pointed at one by one.
const MOST_TITLES: usize = 300;

/// Returns the picture.
pub(in crate::html) fn slopes(
    id: &str,
    table: &str,
    baseline: &ModelName,
    candidate: &CandidateComparison,
) -> Markup {
    let pairs = &candidate.pairs;
    let all = pairs
        .iter()
        .flat_map(|pair| [pair.baseline, pair.candidate]);
    let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if pairs.is_empty() {
        return Markup::default();
    }
    let scale = Scale {
        axis: Axis::new(low, high, 5.0, true),
        from: BASE,
        to: TOP,
    };
    let mut canvas = Canvas::new(WIDTH, HEIGHT);
    canvas.side(&scale, LEFT, RIGHT, plain);
    for (x, anchor, name) in [
        (LEFT, Anchor::Middle, baseline),
        (RIGHT, Anchor::Middle, &candidate.model),
    ] {
        canvas.line("axis", [x, TOP], [x, BASE]);
        canvas.name([x, TOP - 16.0], anchor, name.as_str(), 24);
    }
    lines(&mut canvas, &scale, pairs);
    let ends = [
        [LEFT, scale.at(candidate.baseline_mean)],
        [RIGHT, scale.at(candidate.mean)],
    ];
    canvas.line("mean", ends[0], ends[1]);
    canvas.circle("baseline-mark", ends[0]);
    canvas.diamond("candidate-mark", ends[1]);
    let label = |mean: f64| format!("mean {}", score(mean));
    let [left, right] = [LEFT - 46.0, RIGHT + 14.0];
    canvas.text(
        "value",
        [left, ends[0][1] + 4.0],
        Anchor::End,
        &label(candidate.baseline_mean),
    );
    canvas.text(
        "value",
        [right, ends[1][1] + 4.0],
        Anchor::Start,
        &label(candidate.mean),
    );

    let of = |kind| pairs.iter().filter(|pair| Change::of(pair) == kind).count();
    let persons = |n: usize| count(u32::try_from(n).unwrap_or(u32::MAX), "persona");
    let description = format!(
        "{} gain, {} lose, {} stay; the mean goes from {} to {}.",
        persons(of(Change::Gain)),
        persons(of(Change::Loss)),
        persons(of(Change::None)),
        score(candidate.baseline_mean),
        score(candidate.mean)
    );
    let caption = format!(
        "One line a persona, from its mean score with {baseline} to that with {}: solid gains, dashed \
         losses, dotted neither. Thick: the means. {description}",
        candidate.model
    );
    let title = format!("Every persona, {baseline} to {}", candidate.model);
    Figure {
        id,
        title: &title,
        caption: Markup::text(&caption),
        svg: canvas.svg(id, &title, &description),
        numbers: Numbers::Section(table, "the table of personas"),
    }
    .markup()
}

/// What became of a persona.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Gain,
    Loss,
    None,
}

impl Change {
    fn of(pair: &PersonaPair) -> Self {
        let gain = pair.candidate - pair.baseline;
        if difference(gain) == difference(0.0) {
            Self::None
        } else if gain > 0.0 {
            Self::Gain
        } else {
            Self::Loss
        }
    }

    fn class(self, is_many: bool) -> &'static str {
        match (self, is_many) {
            (Self::Gain, false) => "slope gain",
            (Self::Loss, false) => "slope loss",
            (Self::None, false) => "slope same",
            (Self::Gain, true) => "slope gain many",
            (Self::Loss, true) => "slope loss many",
            (Self::None, true) => "slope same many",
        }
    }
}

/// Draws the personas, losses above the others.
fn lines(canvas: &mut Canvas, scale: &Scale, pairs: &[PersonaPair]) {
    let is_many = pairs.len() > 60;
    for kind in [Change::None, Change::Gain, Change::Loss] {
        let of_kind = pairs.iter().filter(|pair| Change::of(pair) == kind);
        if pairs.len() > MOST_TITLES {
            let path: String = of_kind
                .map(|pair| {
                    let (from, to) = (scale.at(pair.baseline), scale.at(pair.candidate));
                    format!("M{LEFT} {}L{RIGHT} {}", n(from), n(to))
                })
                .collect();
            if !path.is_empty() {
                canvas.path(kind.class(true), &path);
            }
            continue;
        }
        for pair in of_kind {
            let title = format!(
                "{}: {} → {} ({})",
                pair.persona,
                score(pair.baseline),
                score(pair.candidate),
                difference(pair.candidate - pair.baseline)
            );
            let from = [LEFT, scale.at(pair.baseline)];
            let to = [RIGHT, scale.at(pair.candidate)];
            let line = line(kind.class(is_many), from, to);
            canvas.push(line.holding(Tag::new("title").saying(&title)));
        }
    }
}
