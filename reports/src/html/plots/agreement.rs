//! How far judges agree, by criterion.

use shipworthy_schema::JudgingSummary;

use super::canvas::{Anchor, Canvas, Scale, plain};
use super::figure::{Figure, Numbers};
use crate::html::markup::Markup;
use crate::judging_text::{alpha, lowest, raters};
use crate::ticks::Axis;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 320.0;
const RIGHT: f64 = 620.0;
const TOP: f64 = 26.0;
const ROW: f64 = 27.0;

/// Alpha below which agreement is poor (Krippendorff).
const POOR: f64 = 0.667;

/// Returns the picture; nothing where no two judgements can be compared.
pub(in crate::html) fn agreement(id: &str, table: &str, judging: &JudgingSummary) -> Markup {
    let rows = &judging.agreement;
    if rows.is_empty() {
        return Markup::default();
    }
    let lows = rows.iter().flat_map(|row| {
        let lower = row.alpha_ci95.map(|[lower, _]| lower);
        [row.alpha, lower].into_iter().flatten()
    });
    let scale = Scale {
        axis: Axis::new(lows.fold(0.0, f64::min).max(-1.0), 1.0, 5.0, true),
        from: LEFT,
        to: RIGHT,
    };
    let base = TOP + ROW * rows.len() as f64 + 4.0;
    let mut canvas = Canvas::new(WIDTH, base + 42.0);
    canvas.foot(&scale, TOP - 4.0, base, plain);
    let below = [f64::midpoint(LEFT, RIGHT), base + 36.0];
    canvas.text("tick", below, Anchor::Middle, "Krippendorff's alpha");
    canvas.line("zero", [scale.at(0.0), TOP - 4.0], [scale.at(0.0), base]);
    let poor = scale.at(POOR);
    canvas.line("bound", [poor, TOP - 4.0], [poor, base]);
    canvas.text(
        "tick",
        [poor, TOP - 10.0],
        Anchor::Middle,
        "poor below 0.667",
    );
    for (idx, row) in rows.iter().enumerate() {
        let y = TOP + ROW * (idx as f64 + 0.5);
        let name = format!("{}, {}", row.criterion, raters(&row.raters));
        canvas.name([LEFT - 12.0, y + 4.0], Anchor::End, &name, 46);
        if let Some([lower, upper]) = row.alpha_ci95 {
            let [lower, upper] = [lower, upper].map(|value| scale.at(value.clamp(-1.0, 1.0)));
            let class = if row.is_poor {
                "whisker loss"
            } else {
                "whisker gain"
            };
            canvas.interval(class, y, lower, upper);
        }
        if let Some(value) = row.alpha {
            let class = if row.is_poor { "dot loss" } else { "dot gain" };
            canvas.circle(class, [scale.at(value.clamp(-1.0, 1.0)), y]);
        }
        let mark = if row.is_poor { ", poor" } else { "" };
        let words = format!("{}{mark}", alpha(row));
        canvas.text("value", [RIGHT + 16.0, y + 4.0], Anchor::Start, &words);
    }
    let description = lowest(judging).join("; ") + ".";
    Figure {
        id,
        title: "Agreement of judgements",
        caption: Markup::text(
            "Mark: alpha, 1 is full agreement, 0 what chance gives; line: its 95 % interval.",
        ),
        svg: canvas.svg(id, "Agreement of judgements", &description),
        numbers: Numbers::Section(table, "the tables of judges"),
    }
    .markup()
}
