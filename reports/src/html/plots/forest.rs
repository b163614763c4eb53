//! Differences with their intervals, overall and by criterion.

use shipworthy_schema::{CandidateComparison, Evaluation};

use super::canvas::{Anchor, Canvas, Scale, signed};
use super::figure::{Figure, Numbers};
use crate::html::markup::Markup;
use crate::number_text::{difference, interval};
use crate::ticks::Axis;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 200.0;
const RIGHT: f64 = 500.0;
const TOP: f64 = 30.0;
const ROW: f64 = 27.0;

struct Row {
    name: String,
    difference: f64,
    ci95: Option<[f64; 2]>,
    is_overall: bool,
}

/// Returns the picture.
pub(in crate::html) fn forest(
    id: &str,
    evaluation: &Evaluation,
    candidate: &CandidateComparison,
) -> Markup {
    let mut rows = vec![Row {
        name: "Overall".to_owned(),
        difference: candidate.difference,
        ci95: Some(candidate.ci95),
        is_overall: true,
    }];
    rows.extend(candidate.criteria.iter().map(|criterion| Row {
        name: if criterion.safety {
            format!("{} (safety)", criterion.criterion)
        } else {
            criterion.criterion.clone()
        },
        difference: criterion.difference,
        ci95: criterion.ci95,
        is_overall: false,
    }));
    let min_gain = evaluation.plan.gate.min_gain;
    let values = rows.iter().flat_map(|row| {
        let [low, high] = row.ci95.unwrap_or([row.difference; 2]);
        [low, high, 0.0, min_gain]
    });
    let (low, high) = values.fold((0.0, 0.0), |(low, high): (f64, f64), value| {
        (low.min(value), high.max(value))
    });
    let scale = Scale {
        axis: Axis::new(low, high, 6.0, true),
        from: LEFT,
        to: RIGHT,
    };
    let base = TOP + ROW * rows.len() as f64 + 8.0;
    let mut canvas = Canvas::new(WIDTH, base + 44.0);
    canvas.foot(&scale, TOP - 6.0, base, signed);
    canvas.line("zero", [scale.at(0.0), TOP - 6.0], [scale.at(0.0), base]);
    let bound = scale.at(min_gain);
    canvas.line("bound", [bound, TOP - 6.0], [bound, base]);
    canvas.text("tick", [bound, TOP - 12.0], Anchor::Middle, "least gain");
    for (idx, row) in rows.iter().enumerate() {
        draw(&mut canvas, &scale, row, TOP + ROW * (idx as f64 + 0.5));
    }
    let below = [f64::midpoint(LEFT, RIGHT), base + 36.0];
    let axis = format!(
        "{} minus {}",
        candidate.model, evaluation.comparison.baseline
    );
    canvas.text("tick", below, Anchor::Middle, &axis);

    let title = format!("Differences by criterion: {}", candidate.model);
    let description = format!(
        "The overall difference is {} with the 95 % interval {}.",
        difference(candidate.difference),
        interval(candidate.ci95)
    );
    let caption = format!(
        "Mark: mean difference over personas; line: its 95 % interval. Overall decides, criteria \
         inform; their intervals are not adjusted for their number. Without a line there is no test. \
         {description}"
    );
    let numbers = rows.iter().map(|row| {
        let interval = row.ci95.map_or_else(|| "no test".to_owned(), interval);
        vec![row.name.clone(), difference(row.difference), interval]
    });
    Figure {
        id,
        title: &title,
        caption: Markup::text(&caption),
        svg: canvas.svg(id, &title, &description),
        numbers: Numbers::Table(
            &["Criterion", "Difference", "95 % interval"],
            numbers.collect(),
        ),
    }
    .markup()
}

fn draw(canvas: &mut Canvas, scale: &Scale, row: &Row, y: f64) {
    if row.is_overall {
        canvas.rect("overall-row", [0.0, y - ROW / 2.0], [WIDTH, ROW]);
    }
    canvas.name([LEFT - 12.0, y + 4.0], Anchor::End, &row.name, 30);
    let class = match row.ci95 {
        Some([low, _]) if low > 0.0 => "gain",
        Some([_, high]) if high < 0.0 => "loss",
        _ => "open",
    };
    if let Some([low, high]) = row.ci95 {
        let line = match class {
            "gain" => "whisker gain",
            "loss" => "whisker loss",
            _ => "whisker open",
        };
        canvas.interval(line, y, scale.at(low), scale.at(high));
    }
    let at = [scale.at(row.difference), y];
    if row.is_overall {
        canvas.diamond("candidate-mark", at);
    } else {
        let mark = match class {
            "gain" => "dot gain",
            "loss" => "dot loss",
            _ => "dot open",
        };
        canvas.circle(mark, at);
    }
    let words = row.ci95.map_or_else(
        || difference(row.difference),
        |ci95| format!("{} {}", difference(row.difference), interval(ci95)),
    );
    let style = if row.is_overall {
        "value strong"
    } else {
        "value"
    };
    canvas.text(style, [RIGHT + 16.0, y + 4.0], Anchor::Start, &words);
}
