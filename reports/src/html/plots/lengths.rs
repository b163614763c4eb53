//! Length of replies against score.

use std::collections::BTreeMap;

use shipworthy_schema::{CandidateComparison, Conversation, ConversationId, Evaluation, ModelName};

use super::canvas::{Anchor, Canvas, Scale, n, plain};
use super::figure::{Figure, Numbers};
use crate::html::markup::Markup;
use crate::number_text::{difference, interval, length_ratio, score};
use crate::ticks::Axis;

const WIDTH: f64 = 560.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 540.0;
const TOP: f64 = 14.0;
const BASE: f64 = 264.0;

/// Returns the picture of the baseline and `candidate`; nothing without transcripts.
pub(in crate::html) fn lengths(
    id: &str,
    evaluation: &Evaluation,
    candidate: &CandidateComparison,
) -> Markup {
    let models = [&evaluation.comparison.baseline, &candidate.model];
    let scores: BTreeMap<&ConversationId, f64> = evaluation
        .scores
        .iter()
        .filter_map(|score| Some((&score.conversation, score.overall.value()?)))
        .collect();
    let points = models.map(|model| points(evaluation, &scores, model));
    let longest = points
        .iter()
        .flatten()
        .map(|[words, _]| *words)
        .fold(0.0, f64::max);
    if longest == 0.0 {
        return Markup::default();
    }
    let x = Scale {
        axis: Axis::new(0.0, longest, 6.0, true),
        from: LEFT,
        to: RIGHT,
    };
    let y = Scale {
        axis: Axis::new(0.0, 1.0, 5.0, true),
        from: BASE,
        to: TOP,
    };
    let mut canvas = Canvas::new(WIDTH, BASE + 42.0);
    canvas.side(&y, LEFT, RIGHT, plain);
    canvas.foot(&x, TOP, BASE, |words| format!("{words}"));
    let below = [f64::midpoint(LEFT, RIGHT), BASE + 36.0];
    canvas.text(
        "tick",
        below,
        Anchor::Middle,
        "words per reply (mean of a conversation)",
    );
    // Two paths, not thousands of elements.
    let circles = marks(&points[0], &x, &y, "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0");
    let diamonds = marks(&points[1], &x, &y, "m0-4l4 4-4 4-4-4z");
    canvas.path("points baseline", &circles);
    canvas.path("points candidate", &diamonds);
    let title = format!("Length and score: {} and {}", models[0], models[1]);
    let adjusted = candidate.length_adjusted.as_ref().map_or_else(
        || "No difference at equal length can be told.".to_owned(),
        |adjusted| {
            format!(
                "Replies of {} are {}; at equal length of replies the difference would be {} {}.",
                candidate.model,
                length_ratio(adjusted),
                difference(adjusted.difference),
                interval(adjusted.ci95)
            )
        },
    );
    let caption = format!(
        "One mark a conversation: circles {}, diamonds {}. {adjusted}",
        models[0], models[1]
    );
    let summaries = &evaluation.comparison.models;
    let rows = models.iter().filter_map(|model| {
        let summary = summaries.iter().find(|summary| summary.model == **model)?;
        let words = summary
            .mean_reply_words
            .map_or_else(|| "none".to_owned(), |w| format!("{w:.1}"));
        Some(vec![model.to_string(), words, score(summary.mean)])
    });
    Figure {
        id,
        title: &title,
        caption: Markup::text(&caption),
        svg: canvas.svg(id, &title, &adjusted),
        numbers: Numbers::Table(
            &["Model", "Words per reply (mean)", "Mean score"],
            rows.collect(),
        ),
    }
    .markup()
}

fn marks(points: &[[f64; 2]], x: &Scale, y: &Scale, mark: &str) -> String {
    let at = |[words, score]: &[f64; 2]| format!("M{} {}{mark}", n(x.at(*words)), n(y.at(*score)));
    points.iter().map(at).collect()
}

/// Returns the words per reply and the score of a model's conversations.
fn points(
    evaluation: &Evaluation,
    scores: &BTreeMap<&ConversationId, f64>,
    model: &ModelName,
) -> Vec<[f64; 2]> {
    let words = |conversation: &Conversation| {
        let lengths: Vec<usize> = conversation
            .replies()
            .map(|reply| reply.split_whitespace().count())
            .collect();
        (!lengths.is_empty()).then(|| lengths.iter().sum::<usize>() as f64 / lengths.len() as f64)
    };
    evaluation
        .conversations
        .iter()
        .filter(|conversation| conversation.id.model == *model)
        .filter_map(|conversation| Some([words(conversation)?, *scores.get(&conversation.id)?]))
        .collect()
}
