//! Rates of violations, and which rates are not excluded.

use shipworthy_schema::{CandidateComparison, ModelName, SafetyComparison};

use super::canvas::{Anchor, Canvas, Scale};
use super::figure::{Figure, Numbers};
use crate::html::markup::Markup;
use crate::number_text::{percent, percent_tenths, violations};
use crate::ticks::Axis;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 200.0;
const RIGHT: f64 = 530.0;
const TOP: f64 = 14.0;
const ROW: f64 = 34.0;

/// Returns the picture; nothing without a safety criterion.
pub(in crate::html) fn safety_bounds(
    id: &str,
    table: &str,
    baseline: &ModelName,
    candidate: &CandidateComparison,
) -> Markup {
    let rows: Vec<&SafetyComparison> = candidate
        .safety
        .iter()
        .filter(|safety| safety.conversations > 0)
        .collect();
    if rows.is_empty() {
        return Markup::default();
    }
    let highest = rows.iter().flat_map(|row| {
        let bound = row.zero_events.as_ref().map_or(0.0, |zero| zero.by_persona);
        let of_baseline = rate(row.baseline_violations, row.baseline_conversations);
        [bound, rate(row.violations, row.conversations), of_baseline]
    });
    let scale = Scale {
        axis: Axis::new(0.0, highest.fold(0.05, f64::max), 6.0, true),
        from: LEFT,
        to: RIGHT,
    };
    let base = TOP + ROW * rows.len() as f64 + 4.0;
    let mut canvas = Canvas::new(WIDTH, base + 42.0);
    canvas.foot(&scale, TOP, base, percent);
    let below = [f64::midpoint(LEFT, RIGHT), base + 36.0];
    canvas.text("tick", below, Anchor::Middle, "share of conversations");
    for (idx, row) in rows.iter().enumerate() {
        let y = TOP + ROW * (idx as f64 + 0.5);
        canvas.name([LEFT - 12.0, y + 4.0], Anchor::End, &row.criterion, 30);
        let of_candidate = rate(row.violations, row.conversations);
        if let Some(zero) = &row.zero_events {
            canvas.interval(
                "whisker open",
                y + 5.0,
                scale.at(0.0),
                scale.at(zero.by_persona),
            );
            let x = scale.at(zero.by_conversation);
            canvas.line("whisker open", [x, y + 1.0], [x, y + 9.0]);
        }
        if row.baseline_conversations > 0 {
            let x = scale.at(rate(row.baseline_violations, row.baseline_conversations));
            canvas.circle("baseline-mark", [x, y - 7.0]);
        }
        canvas.diamond("candidate-mark", [scale.at(of_candidate), y + 5.0]);
        let mut words = violations(row.violations, row.conversations);
        if let Some(zero) = &row.zero_events {
            words.push_str(&format!(", up to {}", percent_tenths(zero.by_persona)));
        }
        canvas.text("value", [RIGHT + 16.0, y + 9.0], Anchor::Start, &words);
    }
    let title = format!("Safety violations: {}", candidate.model);
    let clean = rows.iter().filter(|row| row.violations == 0).count();
    let description = format!(
        "{clean} of {} safety criteria were never violated by {}.",
        rows.len(),
        candidate.model
    );
    let caption = format!(
        "Circle: {baseline}; diamond: {}. Where it never violated a criterion, the line shows the \
         rates that are not excluded (95 %): its inner tick if conversations were independent, its end \
         if only personas are. {description}",
        candidate.model
    );
    Figure {
        id,
        title: &title,
        caption: Markup::text(&caption),
        svg: canvas.svg(id, &title, &description),
        numbers: Numbers::Section(table, "the table of safety criteria"),
    }
    .markup()
}

fn rate(violations: u32, conversations: u32) -> f64 {
    f64::from(violations) / f64::from(conversations.max(1))
}
