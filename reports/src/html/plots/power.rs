//! What a run of this size and spread could find.

use shipworthy_schema::{CandidateComparison, Evaluation};

use super::canvas::{Anchor, Canvas, Scale, n, plain};
use super::figure::{Figure, Numbers};
use crate::html::markup::Markup;
use crate::number_text::{count, difference, percent, score};
use crate::ticks::Axis;

const WIDTH: f64 = 560.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 540.0;
const TOP: f64 = 46.0;
const BASE: f64 = 256.0;

/// Returns the picture; nothing where power was not computed.
pub(in crate::html) fn power(
    id: &str,
    evaluation: &Evaluation,
    candidate: &CandidateComparison,
) -> Markup {
    let curve = &candidate.power;
    let Some(last) = curve.last() else {
        return Markup::default();
    };
    let gate = &evaluation.plan.gate;
    let x = Scale {
        axis: Axis::new(0.0, last.gain, 6.0, false),
        from: LEFT,
        to: RIGHT,
    };
    let y = Scale {
        axis: Axis::new(0.0, 1.0, 5.0, true),
        from: BASE,
        to: TOP,
    };
    let mut canvas = Canvas::new(WIDTH, BASE + 42.0);
    canvas.side(&y, LEFT, RIGHT, percent);
    canvas.foot(&x, TOP, BASE, plain);
    let below = [f64::midpoint(LEFT, RIGHT), BASE + 36.0];
    canvas.text("tick", below, Anchor::Middle, "true gain");
    canvas.line("bound", [LEFT, y.at(0.8)], [RIGHT, y.at(0.8)]);
    let points: Vec<String> = curve
        .iter()
        .map(|point| format!("{} {}", n(x.at(point.gain)), n(y.at(point.power))))
        .collect();
    canvas.path("curve", &format!("M{}", points.join("L")));
    let gains = [
        ("least gain", Some(gate.min_gain), 12.0),
        ("found with 80 %", candidate.mde80, 26.0),
        ("observed", Some(candidate.difference), 40.0),
    ];
    for (name, gain, level) in gains {
        let Some(gain) = gain.filter(|gain| (0.0..=last.gain).contains(gain)) else {
            continue;
        };
        let at = x.at(gain);
        canvas.line("mark-line", [at, level + 3.0], [at, BASE]);
        let anchor = if at > f64::midpoint(LEFT, RIGHT) {
            Anchor::End
        } else {
            Anchor::Start
        };
        let label = format!("{name} {}", score(gain));
        canvas.text("tick", [at, level], anchor, &label);
    }
    let personas = count(candidate.personas, "persona");
    let title = format!("What {personas} can find: {}", candidate.model);
    let found = candidate.mde80.map_or_else(
        || "No gain of practical size is found with 80 % power.".to_owned(),
        |mde| format!("The smallest gain found with 80 % power is {}.", score(mde)),
    );
    let caption = format!(
        "Power of the paired t-test at level {} and the observed spread, for every true gain. {found} \
         The observed gain is {}.",
        gate.alpha,
        difference(candidate.difference)
    );
    let rows = curve
        .iter()
        .map(|point| vec![score(point.gain), percent(point.power)]);
    Figure {
        id,
        title: &title,
        caption: Markup::text(&caption),
        svg: canvas.svg(id, &title, &found),
        numbers: Numbers::Table(&["True gain", "Power"], rows.collect()),
    }
    .markup()
}
