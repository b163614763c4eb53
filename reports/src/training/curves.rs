//! `loss.svg` and `learning_rate.svg`.

use shipworthy_schema::{BestStep, TrainingLogEntry};

use super::chart::{Chart, Look, Series};
use crate::number_text::{loss, significant};

/// Entries from which on single losses are drawn faintly, behind their running mean.
const MANY: usize = 40;

/// Returns the training loss, the evaluation loss and where it was best over steps, as a picture that
/// needs no other file; `None` if there is no loss.
///
/// Of a long log the training loss is shown as it is, faintly, and as a running mean over a twentieth of
/// it.
pub fn loss_svg(log: &[TrainingLogEntry], best: Option<&BestStep>) -> Option<String> {
    let train = points(log, |entry| entry.loss);
    let mut series = Vec::new();
    if train.len() >= MANY {
        let window = train.len() / 20;
        series.push(Series {
            label: "training".to_owned(),
            look: Look::Faint,
            points: train.clone(),
        });
        series.push(Series {
            label: format!("mean of {}", 2 * (window / 2) + 1),
            look: Look::Line,
            points: running_mean(&train, window / 2),
        });
    } else {
        series.push(Series {
            label: "training".to_owned(),
            look: Look::Line,
            points: train,
        });
    }
    series.push(Series {
        label: "evaluation".to_owned(),
        look: Look::Dots,
        points: points(log, |entry| entry.eval_loss),
    });
    let label = |best: &BestStep| format!("best: {} at step {}", loss(best.eval_loss), best.step);
    let chart = Chart {
        title: "Loss",
        series,
        mark: best.map(|best| (best.step as f64, label(best))),
        from_zero: false,
        value_text: tick_text,
    };
    chart.svg()
}

/// Returns the learning rate over steps as a picture that needs no other file; `None` if none was logged.
pub fn learning_rate_svg(log: &[TrainingLogEntry]) -> Option<String> {
    let chart = Chart {
        title: "Learning rate",
        series: vec![Series {
            label: "learning rate".to_owned(),
            look: Look::Line,
            points: points(log, |entry| entry.learning_rate),
        }],
        mark: None,
        from_zero: true,
        value_text: significant,
    };
    chart.svg()
}

fn points(
    log: &[TrainingLogEntry],
    value: impl Fn(&TrainingLogEntry) -> Option<f64>,
) -> Vec<[f64; 2]> {
    let point = |entry| Some([step(entry), value(entry)?]);
    let all = log.iter().filter_map(point);
    all.filter(|[_, value]| value.is_finite()).collect()
}

fn step(entry: &TrainingLogEntry) -> f64 {
    entry.step as f64
}

/// Returns the mean of each value and up to `side` neighbours on each side.
fn running_mean(points: &[[f64; 2]], side: usize) -> Vec<[f64; 2]> {
    let mean = |(idx, point): (usize, &[f64; 2])| {
        let window = &points[idx.saturating_sub(side)..points.len().min(idx + side + 1)];
        let sum: f64 = window.iter().map(|point| point[1]).sum();
        [point[0], sum / window.len() as f64]
    };
    points.iter().enumerate().map(mean).collect()
}

/// Returns a label of the axis without needless zeros, e.g. `1.5`.
fn tick_text(value: f64) -> String {
    if value.abs() >= 1e6 {
        return significant(value);
    }
    let text = format!("{value:.6}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    match short {
        "" | "-0" | "0" if value != 0.0 && value.abs() > 1e-12 => significant(value),
        "-0" => "0".to_owned(),
        short => short.to_owned(),
    }
}
