//! How the scores of conversations are spread, one model above the other.

use shipworthy_schema::{Evaluation, ModelName};

use super::canvas::{Anchor, Canvas, Scale, plain};
use super::figure::{Figure, Numbers};
use crate::html::markup::Markup;
use crate::number_text::{count, score};
use crate::ticks::Axis;

const WIDTH: f64 = 560.0;
const LEFT: f64 = 40.0;
const RIGHT: f64 = 540.0;
/// Height of one model's part.
const PART: f64 = 130.0;
/// Height of its largest bar.
const BAR: f64 = 84.0;
const BINS: usize = 20;

/// Returns the picture of the baseline above `candidate`.
pub(in crate::html) fn distributions(
    id: &str,
    evaluation: &Evaluation,
    candidate: &ModelName,
) -> Markup {
    let models = [&evaluation.comparison.baseline, candidate];
    let histograms = models.map(|model| histogram(evaluation, model));
    let tallest = histograms.iter().flatten().copied().max().unwrap_or(0);
    if tallest == 0 {
        return Markup::default();
    }
    let scale = Scale {
        axis: Axis::new(0.0, 1.0, 5.0, true),
        from: LEFT,
        to: RIGHT,
    };
    let base = 2.0 * PART;
    let mut canvas = Canvas::new(WIDTH, base + 40.0);
    canvas.foot(&scale, 20.0, base, plain);
    canvas.text(
        "tick",
        [f64::midpoint(LEFT, RIGHT), base + 34.0],
        Anchor::Middle,
        "score of a conversation",
    );
    let threshold = scale.at(evaluation.plan.rubric.pass_threshold);
    canvas.line("bound", [threshold, 14.0], [threshold, base]);
    canvas.text("tick", [threshold, 10.0], Anchor::Middle, "passes");
    let mut means = Vec::new();
    for (idx, (model, bins)) in models.iter().zip(&histograms).enumerate() {
        let foot = PART * (idx as f64 + 1.0);
        let class = ["bar baseline", "bar candidate"][idx];
        for (bin, n) in bins.iter().enumerate() {
            let height = f64::from(*n) / f64::from(tallest) * BAR;
            let [x, end] = [bin, bin + 1].map(|edge| scale.at(edge as f64 / BINS as f64));
            if *n > 0 {
                let corner = [x + 1.0, foot - height];
                canvas.rect(class, corner, [end - x - 2.0, height]);
            }
        }
        canvas.line("axis", [LEFT, foot], [RIGHT, foot]);
        let summary = evaluation
            .comparison
            .models
            .iter()
            .find(|m| m.model == **model);
        let said = summary.filter(|summary| summary.scored > 0).map(|summary| {
            let x = scale.at(summary.mean);
            let y = foot - BAR - 14.0;
            canvas.line("mean-line", [x, y], [x, foot]);
            if idx == 0 {
                canvas.circle("baseline-mark", [x, y]);
            } else {
                canvas.diamond("candidate-mark", [x, y]);
            }
            let conversations = count(summary.scored, "conversation");
            format!("{model}: {conversations}, mean {}", score(summary.mean))
        });
        let said = said.unwrap_or_else(|| model.to_string());
        // Where the mean's mark leaves room.
        let is_low = summary.is_some_and(|summary| summary.mean < 0.55);
        let (x, anchor) = if is_low {
            (RIGHT, Anchor::End)
        } else {
            (LEFT, Anchor::Start)
        };
        canvas.name([x, foot - BAR - 22.0], anchor, &said, 60);
        means.push(said);
    }
    let title = format!("Scores of conversations: {} and {candidate}", models[0]);
    let description = means.join("; ") + ".";
    let rows = (0..BINS).map(|bin| {
        let edge = |bin: usize| plain(bin as f64 / BINS as f64);
        let range = format!("{} to {}", edge(bin), edge(bin + 1));
        vec![
            range,
            histograms[0][bin].to_string(),
            histograms[1][bin].to_string(),
        ]
    });
    let heads = ["Score", models[0].as_str(), models[1].as_str()];
    Figure {
        id,
        title: &title,
        caption: Markup::text(
            "Bars count conversations, on the same scale for both; marks are the means over persona \
             means. A bin holds its lower end, the last one both.",
        ),
        svg: canvas.svg(id, &title, &description),
        numbers: Numbers::Table(&heads, rows.collect()),
    }
    .markup()
}

/// Counts a model's conversations by score.
fn histogram(evaluation: &Evaluation, model: &ModelName) -> [u32; BINS] {
    let mut bins = [0; BINS];
    let of_model = evaluation
        .scores
        .iter()
        .filter(|s| s.conversation.model == *model);
    for value in of_model.filter_map(|s| s.overall.value()) {
        // The least addition keeps 0.15 in the bin that begins there.
        let place = (value * BINS as f64 + 1e-9).floor();
        let is_before = |bin: &usize| (*bin as f64) < place;
        let bin = (0..BINS).filter(is_before).count();
        bins[bin.min(BINS - 1)] += 1;
    }
    bins
}
